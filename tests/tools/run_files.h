// Run folders, data sets and pages as small as tests want them.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace starling::tests {

inline void write_text(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

inline std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// A line of metrics.jsonl: `round` takes 100 s and 1 MB each way.
inline std::string metrics_line(int round, double accuracy, double loss, const std::string& more = "") {
  std::ostringstream line;
  line << "{\"round\": " << round << ", \"virtual_s\": " << 100 * round << ", \"wall_s\": 0.5, \"test_accuracy\": " << accuracy << ", \"test_loss\": " << loss
       << ", \"train_loss\": 0.7, \"clients\": 3, \"dropped\": 1, \"uplink_bytes\": " << 1000000 * round << ", \"downlink_bytes\": " << 1000000 * round
       << more << "}\n";
  return line.str();
}

inline std::string run_settings(const std::string& name, const std::string& strategy = "fedavg") {
  return "name = '" + name + "'\nseed = 1\nrounds = 3\n[data]\nname = 'mnist'\nclients = 4\n"
         "[model]\nname = 'logistic'\n[strategy]\nname = '" + strategy + "'\n";
}

/// A run of three rounds that ended well, unless told otherwise.
inline std::filesystem::path write_run(const std::filesystem::path& folder, const std::string& settings = run_settings("tiny"), std::string metrics = "",
                                       const std::string& summary = R"({"completed": true, "parameters": 7850, "rounds": 3})") {
  if (metrics.empty()) metrics = metrics_line(1, 0.5, 2) + metrics_line(2, 0.75, 1) + metrics_line(3, 0.7, 0.5);
  write_text(folder / "settings.toml", settings);
  write_text(folder / "metrics.jsonl", metrics);
  if (!summary.empty()) write_text(folder / "summary.json", summary);
  return folder;
}

inline std::string idx(const std::vector<unsigned>& sizes, const std::string& values) {
  std::string bytes{'\0', '\0', '\x08', static_cast<char>(sizes.size())};
  for (const unsigned size : sizes)
    for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(size >> shift & 0xFF);
  return bytes + values;
}

/// A set in MNIST's format below `folder`: label i % 10, whose image has a bright row of its own.
inline void write_images(const std::filesystem::path& folder, const std::string& set, unsigned count) {
  std::string images, labels;
  for (unsigned i = 0; i < count; ++i) {
    std::string image(28 * 28, '\0');
    image.replace(i % 10 * 2 * 28, 28, 28, '\xF0');
    images += image;
    labels += static_cast<char>(i % 10);
  }
  for (const char* part : {"train", "t10k"}) {
    write_text(folder / set / (std::string(part) + "-images-idx3-ubyte"), idx({count, 28, 28}, images));
    write_text(folder / set / (std::string(part) + "-labels-idx1-ubyte"), idx({count}, labels));
  }
}

/// Empty when every element of an HTML page that is written as XML is closed where it should be, and no attribute lacks
/// its quotes; else what is wrong.
inline std::string markup_fault(const std::string& html) {
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at)) {
    if (html.compare(at, 2, "<!") == 0) {
      at = html.find('>', at);
      continue;
    }
    std::size_t end = at + 1;
    for (bool quoted = false; end < html.size() && (quoted || html[end] != '>'); ++end) {
      if (html[end] == '"') quoted = !quoted;
      if (html[end] == '<') return "a < in the tag at " + html.substr(at, 80);
    }
    if (end >= html.size()) return "no end of " + html.substr(at, 80);
    const bool closing = html[at + 1] == '/', alone = html[end - 1] == '/';
    const std::size_t begin = at + (closing ? 2 : 1);
    const std::string name = html.substr(begin, html.find_first_of(" />\n", begin) - begin);
    if (closing) {
      if (open.empty() || open.back() != name) return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
      open.pop_back();
    } else if (!alone) {
      open.push_back(name);
    }
    at = end;
    if (!closing && (name == "script" || name == "style")) at = html.find("</" + name, at);
  }
  return open.empty() ? "" : open.back() + " is never closed";
}

}  // namespace starling::tests
