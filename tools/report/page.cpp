#include "tools/report/page.h"

#include <algorithm>

#include <fmt/format.h>

#include "tools/report/line_chart.h"
#include "tools/report/text.h"

namespace starling::tools {
namespace {

/// `name` and `detail` are markup.
std::string card(const std::string& name, const std::string& value, const std::string& detail = "") {
  constexpr const char* kCard = R"(<div class="card"><div class="name">{}</div><div class="value">{}</div><div class="detail">{}</div></div>)";
  return fmt::format(kCard, name, escape(value), detail) + "\n";
}

std::string accuracy(const std::optional<double>& value) { return value ? percent(*value) : "-"; }

std::string rounds_detail(const RunFolder& run) {
  const std::string planned = run.setting("rounds");
  return planned.empty() ? "" : "of " + planned;
}

std::string data_detail(const RunFolder& run) {
  if (run.setting("data.own") == "true") return "the nodes' own";
  const std::string clients = run.setting("data.clients"), kind = run.setting("data.partition");
  return fmt::format("{} clients, {}", clients, kind) + (kind == "dirichlet" || kind == "quantity" ? fmt::format(", alpha {}", run.setting("data.alpha")) : "");
}

/// Everything about the only run.
std::string cards_of(const RunFolder& run, const Figures& f) {
  std::string html = "<div class=\"cards\">\n";
  html += card("Final accuracy", accuracy(f.final_accuracy), f.final_loss ? "test loss " + figure(f.final_loss) : "");
  html += card("Best accuracy", accuracy(f.best_accuracy), f.best_accuracy ? fmt::format("in round {}", f.best_round) : "");
  html += card("Rounds", grouped(f.rounds), escape(rounds_detail(run)));
  html += card(sentence(clock_name(std::span(&run, 1))), duration(f.virtual_s), duration(f.virtual_s / static_cast<double>(f.rounds)) + " a round");
  const std::string wire = f.wire_bytes > 0 ? fmt::format("; {} with frames", traffic(f.wire_bytes)) : "";
  const std::string both = fmt::format("{} up, {} down", traffic(f.uplink_bytes), traffic(f.downlink_bytes));
  html += card("Traffic", traffic(f.uplink_bytes + f.downlink_bytes), both + wire);
  html += card("Strategy", run.setting("strategy.name"), escape(run.setting("rounds_policy.mode")));
  html += card("Model", run.setting("model.name"), run.parameters ? grouped(*run.parameters) + " parameters" : "");
  html += card("Data", run.setting("data.name"), escape(data_detail(run)));
  return html + "</div>\n";
}

/// One card a run.
std::string cards_of(std::span<const RunFolder> runs, std::span<const Figures> figures) {
  std::string html = "<div class=\"cards runs\">\n";
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const RunFolder& run = runs[i];
    const Figures& f = figures[i];
    std::string detail = "best " + accuracy(f.best_accuracy) + (f.best_accuracy ? fmt::format(" in round {}", f.best_round) : "");
    detail += fmt::format("<br/>{} rounds, {}<br/>", grouped(f.rounds), duration(f.virtual_s));
    detail += fmt::format("{} up, {} down<br/>", traffic(f.uplink_bytes), traffic(f.downlink_bytes));
    detail += escape(run.setting("strategy.name") + ", " + run.setting("model.name"));
    if (run.parameters) detail += fmt::format(" ({} parameters)", grouped(*run.parameters));
    html += card(run_mark(run, i), accuracy(f.final_accuracy), detail + "<br/>" + escape(run.setting("data.name") + ", " + data_detail(run)));
  }
  return html + "</div>\n";
}

std::string title_of(std::span<const RunFolder> runs) {
  if (runs.size() == 1) return runs.front().name;
  std::string title;
  constexpr std::size_t kNamed = 4;
  for (std::size_t i = 0; i < runs.size() && i < kNamed; ++i) title += (i == 0 ? "" : i + 1 == runs.size() ? " and " : ", ") + runs[i].label;
  return title + (runs.size() > kNamed ? fmt::format(" and {} more", runs.size() - kNamed) : "");
}

std::string subtitle_of(std::span<const RunFolder> runs) {
  if (runs.size() > 1) return fmt::format("{} federated runs compared", runs.size());
  const RunFolder& run = runs.front();
  return fmt::format("A federated run: {} with {} on {}, {}, seed {}", run.setting("strategy.name"), run.setting("model.name"), run.setting("data.name"),
                     data_detail(run), run.setting("seed"));
}

std::string remarks_of(std::span<const RunFolder> runs) {
  std::string html;
  for (const RunFolder& run : runs)
    for (const std::string& remark : run.remarks)
      html += fmt::format("<p class=\"remark\">{}{}</p>\n", runs.size() > 1 ? "<b>" + escape(run.label) + "</b> " : "", escape(remark));
  return html;
}

std::string folders_of(std::span<const RunFolder> runs) {
  std::string html;
  for (const RunFolder& run : runs) html += fmt::format("{}<code>{}</code>", html.empty() ? "" : ", ", escape(run.folder.string()));
  return html;
}

}  // namespace

std::string clock_name(std::span<const RunFolder> runs) {
  return std::all_of(runs.begin(), runs.end(), [](const RunFolder& run) { return run.setting("clock") == "wall"; }) ? "time" : "virtual time";
}

std::string sentence(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

std::string run_mark(const RunFolder& run, std::size_t number) {
  return fmt::format(R"(<svg class="mark" viewBox="0 0 22 10" aria-hidden="true"><g class="{}"><path class="curve" d="M0,5 L22,5"/></g></svg>{})",
                     colour_classes(number), escape(run.label));
}

std::string build_page(const PageInput& input) {
  const std::string title = escape(title_of(input.runs));
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<title>{} - Starling</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n<header><h1>{}</h1><p>{}</p></header>\n",
      title, kPageStyle, title, escape(subtitle_of(input.runs)));
  html += remarks_of(input.runs);
  html += input.runs.size() == 1 ? cards_of(input.runs.front(), input.figures.front()) : cards_of(input.runs, input.figures);
  html += curves_section(input.runs);
  html += comparison_section(input.runs, input.figures);
  html += clients_section(input.runs, input.distributions);
  html += own_numbers_section(input.runs);
  html += settings_section(input.runs);
  html += fmt::format("<footer>Made by <code>starling report</code> from {}. ", folders_of(input.runs));
  if (clock_name(input.runs) != "time") html += "Virtual time is that of the simulated clock. ";
  html += "Traffic is payload since the start of a run.</footer>\n";
  return html + fmt::format("</main>\n<div id=\"tip\"></div>\n<script>{}</script>\n</body>\n</html>\n", kPageScript);
}

}  // namespace starling::tools
