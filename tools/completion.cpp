// Each shell gets the same three parts: which command the words so far name, what may follow it, and files
// where nothing else is known.
#include "tools/completion.h"

#include <algorithm>
#include <vector>

#include <CLI/CLI.hpp>

#include "core/error.h"

namespace starling::tools {
namespace {

struct Word {
  std::string text, summary;
};

/// What may follow a command. `path` is "" for the program, "/bench/collectives" for a nested one.
struct Place {
  std::string path;
  std::vector<Word> commands, options;
};

std::string first_line(std::string text) {
  text.resize(std::min(text.size(), text.find('\n')));
  return text;
}

void collect(const CLI::App& app, const std::string& path, std::vector<Place>& places) {
  Place place{path, {}, {}};
  for (const CLI::Option* option : app.get_options())
    if (!option->get_group().empty())
      for (const std::string& name : option->get_lnames()) place.options.push_back({"--" + name, first_line(option->get_description())});
  std::vector<const CLI::App*> visible;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* a) { return !a->get_group().empty(); })) {
    place.commands.push_back({command->get_name(), first_line(command->get_description())});
    visible.push_back(command);
  }
  places.push_back(std::move(place));
  for (const CLI::App* command : visible) collect(*command, path + "/" + command->get_name(), places);
}

std::string texts(const std::vector<Word>& words) {
  std::string joined;
  for (const Word& word : words) joined += (joined.empty() ? "" : " ") + word.text;
  return joined;
}

/// `text` inside single quotes, for bash and zsh.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

/// Case labels of all places but the program itself.
std::string labels(const std::vector<Place>& places) {
  std::string joined;
  for (const Place& place : places)
    if (!place.path.empty()) joined += (joined.empty() ? "" : "|") + place.path;
  return joined;
}

std::string bash(const std::vector<Place>& places) {
  std::string script = fmt::format(R"sh(# bash completion of starling: eval "$(starling completion bash)"
_starling() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} place="" commands="" options="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$place/${{COMP_WORDS[i]}}" in
      {}) place="$place/${{COMP_WORDS[i]}}" ;;
    esac
  done
  case "$place" in
)sh", labels(places));
  for (const Place& place : places)
    script += fmt::format("    {}) commands={} options={} ;;\n", quoted(place.path), quoted(texts(place.commands)), quoted(texts(place.options)));
  return script + R"sh(  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$commands" -- "$current"))
  fi
}
complete -o default -F _starling starling
)sh";
}

std::string zsh_entries(const std::vector<Word>& words) {
  std::string entries;
  for (const Word& word : words) {
    std::string summary = word.summary;
    std::replace(summary.begin(), summary.end(), ':', ';');  // a colon separates word and summary
    entries += " " + quoted(word.text + ":" + summary);
  }
  return entries;
}

std::string zsh(const std::vector<Place>& places) {
  std::string script = fmt::format(R"sh(#compdef starling
# zsh completion of starling: eval "$(starling completion zsh)", or save it as _starling in a folder of $fpath
_starling() {{
  local place="" word
  local -a commands options
  for word in ${{words[2,CURRENT-1]}}; do
    case "$place/$word" in
      ({}) place="$place/$word" ;;
    esac
  done
  case "$place" in
)sh", labels(places));
  for (const Place& place : places)
    script += fmt::format("    ({}) commands=({} ) options=({} ) ;;\n", quoted(place.path), zsh_entries(place.commands), zsh_entries(place.options));
  return script + R"sh(  esac
  if [[ ${words[CURRENT]} == -* ]]; then
    _describe option options
  elif (( ${#commands} )); then
    _describe command commands
  else
    _files
  fi
}
if [[ $funcstack[1] == _starling ]]; then _starling "$@"; else compdef _starling starling; fi
)sh";
}

std::string fish_quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return result + "'";
}

std::string fish(const std::vector<Place>& places) {
  std::string known;
  for (const Place& place : places)
    if (!place.path.empty()) known += " " + place.path;
  std::string script = fmt::format(R"sh(# fish completion of starling: starling completion fish | source
function __starling_at
  set -l place ""
  for word in (commandline -opc)[2..-1]
    if contains -- "$place/$word"{}
      set place "$place/$word"
    end
  end
  test "$place" = "$argv[1]"
end
)sh", known);
  for (const Place& place : places) {
    const std::string condition = fish_quoted("__starling_at \"" + place.path + "\"");
    for (const Word& word : place.commands)
      script += fmt::format("complete -c starling -f -n {} -a {} -d {}\n", condition, fish_quoted(word.text), fish_quoted(word.summary));
    for (const Word& word : place.options)
      script += fmt::format("complete -c starling -n {} -l {} -d {}\n", condition, word.text.substr(2), fish_quoted(word.summary));
  }
  return script;
}

}  // namespace

std::string completion_script(const CLI::App& program, const std::string& shell) {
  std::vector<Place> places;
  collect(program, "", places);
  if (shell == "bash") return bash(places);
  if (shell == "zsh") return zsh(places);
  if (shell == "fish") return fish(places);
  core::fail(core::Kind::usage, "completion {}: unknown shell (known: bash zsh fish)", shell);
}

}  // namespace starling::tools
