// SPDX-License-Identifier: Apache-2.0
//
// Source  bash(1), "Programmable Completion"; fish-completions(1);
//         zshcompsys(1), "_arguments"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framework/cli/manual/writers.hpp"

namespace tessera::cli {
namespace {

constexpr const char* kLicence = "# SPDX-License-Identifier: Apache-2.0\n#\n";

// One sentence on one line, without the quote that ends a shell's string.
std::string short_help(const std::string& help) {
  std::string text = help.substr(0, help.find("; "));
  for (char& c : text) {
    if (c == '\'' || c == '`') c = '"';
    if (c == '\n') c = ' ';
  }
  return text;
}

// Option names and subcommands of a page.
std::vector<std::string> words_of(const CommandPage& page) {
  std::vector<std::string> words = page.subcommands;
  for (const OptionEntry& option : page.options) {
    words.insert(words.end(), option.names.begin(), option.names.end());
  }
  return words;
}

bool has_path_argument(const CommandPage& page) {
  for (const OptionEntry& option : page.options) {
    if (!option.positional.empty() && option.takes_path()) return true;
  }
  return false;
}

// " ops": the command that the words before lead to, each with a space before.
std::string key_of(const CommandPage& page) {
  return page.path.empty() ? "" : " " + page.path;
}

// What follows an option that takes a value.
std::string bash_value(const OptionEntry& option) {
  if (!option.choices.empty()) {
    // Of several with commas, the last is completed.
    return fmt::format("_tessera_words '{}'", fmt::join(option.choices, " "));
  }
  return option.takes_path() ? "COMPREPLY=($(compgen -f -- \"$cur\"))" : ":";
}

// Characters that end a description or a specification of zsh.
std::string zsh_text(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string zsh_action(const OptionEntry& option) {
  if (!option.choices.empty()) {
    return fmt::format("_values -s , value {}", fmt::join(option.choices, " "));
  }
  return option.takes_path() ? "_files" : " ";
}

std::string zsh_arguments(const CommandPage& page) {
  std::string text;
  for (const OptionEntry& option : page.options) {
    const std::string value =
        option.value.empty()
            ? ""
            : fmt::format(":{}:{}", zsh_text(option.value), zsh_action(option));
    for (const std::string& name : option.names) {
      text += fmt::format(" \\\n        '*{}[{}]{}'", name,
                          zsh_text(short_help(option.help)), value);
    }
  }
  return text + (has_path_argument(page) ? " \\\n        '*:file:_files'" : "");
}

}  // namespace

std::string bash_completion(const std::vector<CommandPage>& pages) {
  std::string commands;
  std::string values;
  std::string words;
  for (const CommandPage& page : pages) {
    const std::string key = key_of(page);
    for (const std::string& child : page.subcommands) {
      commands +=
          fmt::format("{}'{} {}'", commands.empty() ? "" : " | ", key, child);
    }
    for (const OptionEntry& option : page.options) {
      if (!option.takes_value()) continue;
      for (const std::string& name : option.names) {
        values += fmt::format("    '{} {}') {}; return ;;\n", key, name,
                              bash_value(option));
      }
    }
    words += fmt::format(
        "    '{}') COMPREPLY=($(compgen {}-W '{}' -- \"$cur\")) ;;\n", key,
        has_path_argument(page) ? "-f " : "", fmt::join(words_of(page), " "));
  }
  return std::string(kLicence) +
         "# Completion of tessera for bash, by `tessera completion bash`.\n"
         "\n"
         "# Words for the last part of a list with commas.\n"
         "_tessera_words() {\n"
         "  local list=''\n"
         "  [[ $cur == *,* ]] && list=${cur%,*},\n"
         "  COMPREPLY=($(compgen -P \"$list\" -W \"$1\" -- \"${cur##*,}\"))\n"
         "}\n"
         "\n"
         "_tessera() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} path='' word\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    case \"$path $word\" in\n"
         "      " +
         commands +
         ") path+=\" $word\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$path ${COMP_WORDS[COMP_CWORD-1]}\" in\n" +
         values +
         "  esac\n"
         "  case \"$path\" in\n" +
         words +
         "  esac\n"
         "}\n"
         "complete -o filenames -o bashdefault -F _tessera tessera\n";
}

std::string fish_completion(const std::vector<CommandPage>& pages) {
  std::string text =
      std::string(kLicence) +
      "# Completion of tessera for fish, by `tessera completion fish`.\n"
      "\n"
      "# Whether the words before the cursor lead to a command: its words, "
      "and\n"
      "# then none of its subcommands.\n"
      "function __tessera_at\n"
      "    set -l words (commandline -opc)[2..]\n"
      "    set -l path (string split -n ' ' -- $argv[1])\n"
      "    set -l children (string split -n ' ' -- $argv[2])\n"
      "    for word in $words\n"
      "        if test (count $path) -gt 0 -a \"$word\" = \"$path[1]\"\n"
      "            set -e path[1]\n"
      "        else if test (count $path) -eq 0; and contains -- \"$word\" "
      "$children\n"
      "            return 1\n"
      "        end\n"
      "    end\n"
      "    test (count $path) -eq 0\n"
      "end\n"
      "\n"
      "complete -c tessera -f\n";
  for (const CommandPage& page : pages) {
    const std::string here =
        fmt::format("complete -c tessera -n \"__tessera_at '{}' '{}'\"",
                    page.path, fmt::join(page.subcommands, " "));
    for (const CommandPage& child : pages) {
      const bool is_child =
          child.path.rfind(' ') == std::string::npos
              ? page.path.empty() && !child.path.empty()
              : child.path.substr(0, child.path.rfind(' ')) == page.path;
      if (!is_child) continue;
      text += fmt::format("{} -a {} -d '{}'\n", here,
                          child.path.substr(child.path.rfind(' ') + 1),
                          short_help(child.description));
    }
    for (const OptionEntry& option : page.options) {
      if (option.names.empty()) continue;
      text += here;
      for (const std::string& name : option.names) {
        text += name.starts_with("--") ? " -l " + name.substr(2)
                                       : " -s " + name.substr(1);
      }
      if (option.takes_value()) text += option.takes_path() ? " -r -F" : " -x";
      if (!option.choices.empty()) {
        text += fmt::format(" -a '{}'", fmt::join(option.choices, " "));
      }
      text += fmt::format(" -d '{}'\n", short_help(option.help));
    }
    if (has_path_argument(page)) text += here + " -F\n";
  }
  return text;
}

std::string zsh_completion(const std::vector<CommandPage>& pages) {
  std::string cases;
  std::string commands;
  for (const CommandPage& page : pages) {
    for (const std::string& child : page.subcommands) {
      commands += fmt::format("{}'{} {}'", commands.empty() ? "" : " | ",
                              key_of(page), child);
    }
    cases += fmt::format("    ('{}')\n", key_of(page));
    if (!page.subcommands.empty()) {
      cases += fmt::format("      compadd -- {}\n",
                           fmt::join(page.subcommands, " "));
    }
    cases += fmt::format("      _arguments{}\n      ;;\n", zsh_arguments(page));
  }
  return "#compdef tessera\n" + std::string(kLicence) +
         "# Completion of tessera for zsh, by `tessera completion zsh`.\n"
         "\n"
         "_tessera() {\n"
         "  local path_='' word\n"
         "  integer last=1 at=1\n"
         "  for word in ${words[2,CURRENT-1]}; do\n"
         "    (( at += 1 ))\n"
         "    case \"$path_ $word\" in\n"
         "      (" +
         commands +
         ") path_+=\" $word\"; last=$at ;;\n"
         "    esac\n"
         "  done\n"
         "  # What follows is completed as if the command stood alone.\n"
         "  words=(tessera ${words[last+1,-1]})\n"
         "  (( CURRENT -= last - 1 ))\n"
         "  case \"$path_\" in\n" +
         cases +
         "  esac\n"
         "}\n"
         "_tessera \"$@\"\n";
}

}  // namespace tessera::cli
