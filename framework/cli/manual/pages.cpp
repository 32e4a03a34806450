// SPDX-License-Identifier: Apache-2.0
//
// Source  man-pages(7); groff_man(7)

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "framework/cli/manual/writers.hpp"

namespace tessera::cli {
namespace {

// Text that groff prints as it is.
std::string roff(const std::string& text) {
  std::string escaped;
  bool at_start = true;
  for (const char c : text) {
    if (at_start && (c == '.' || c == '\'')) escaped += "\\&";
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else {
      escaped += c;
    }
    at_start = c == '\n';
  }
  return escaped;
}

std::string option_title(const OptionEntry& option) {
  if (option.names.empty()) return "\\fI" + roff(option.positional) + "\\fR";
  std::string title;
  for (const std::string& name : option.names) {
    title += (title.empty() ? "" : ", ") + ("\\fB" + roff(name) + "\\fR");
  }
  return option.value.empty() ? title
                              : title + " \\fI" + roff(option.value) + "\\fR";
}

std::string man_section(const CommandPage& page) {
  std::string text = page.path.empty()
                         ? ".SH OPTIONS\n"
                         : fmt::format(".SS tessera {}\n{}.\n", roff(page.path),
                                       roff(page.description));
  for (const OptionEntry& option : page.options) {
    text +=
        fmt::format(".TP\n{}\n{}\n", option_title(option), roff(option.help));
  }
  if (!page.footer.empty() && !page.path.empty()) {
    text += ".PP\n.nf\n" + roff(page.footer) + "\n.fi\n";
  }
  return text;
}

std::string without_trailing_spaces(const std::string& text) {
  std::istringstream lines(text);
  std::string clean;
  for (std::string line; std::getline(lines, line);) {
    line.erase(line.find_last_not_of(' ') + 1);
    clean += line + "\n";
  }
  clean.erase(clean.find_last_not_of('\n') + 1);
  return clean + "\n";
}

std::string index_line(const CommandPage& page) {
  return fmt::format("| [{}]({}) | {} |\n", page.path, page_name(page),
                     page.description);
}

}  // namespace

std::string page_name(const CommandPage& page) {
  std::string name = page.path;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name + ".md";
}

std::string man_page(const std::vector<CommandPage>& pages,
                     const std::string& version) {
  std::string text = fmt::format(
      ".\\\" SPDX-License-Identifier: Apache-2.0\n"
      ".TH TESSERA 1 \"\" \"tessera {}\" \"User Commands\"\n"
      ".ad l\n"
      ".SH NAME\n"
      "tessera \\- run quantized transformers across unlike hardware\n"
      ".SH SYNOPSIS\n"
      ".B tessera\n"
      "\\fICOMMAND\\fR [\\fIOPTION\\fR]...\n"
      ".SH DESCRIPTION\n{}\n",
      roff(version), roff(pages.front().description));
  text += man_section(pages.front()) + ".SH COMMANDS\n";
  for (size_t i = 1; i < pages.size(); ++i) text += man_section(pages[i]);
  return text +
         ".SH EXIT STATUS\n"
         "0: done.  1: the work failed, a file or a device is not as it must "
         "be, or a gate was missed.  2: wrong use.\n"
         ".SH FILES\n"
         ".TP\n\\fI$XDG_STATE_HOME/tessera/history.db\\fR\n"
         "Runs of \\fBtessera bench\\fR.\n"
         ".TP\n\\fI$XDG_STATE_HOME/tessera/certificates\\fR\n"
         "What \\fBtessera conform\\fR proved.\n"
         ".TP\n\\fI$XDG_CACHE_HOME/tessera\\fR\n"
         "Caches of plugins.\n"
         ".SH ENVIRONMENT\n"
         ".TP\n\\fBTESSERA_PLUGIN_PATH\\fR\n"
         "Absolute folders with plugins, with colons between them.\n"
         ".TP\n\\fBTESSERA_RECORD\\fR\n"
         "File that the calls of plugins are recorded in, for "
         "\\fBtessera replay\\fR.\n"
         ".TP\n\\fBTESSERA_VALIDATE\\fR\n"
         "1: every call of host and plugins is checked.\n";
}

std::string markdown_page(const CommandPage& page,
                          const std::vector<CommandPage>& pages) {
  std::string text =
      fmt::format("# tessera {}\n\n{}.\n\n```\n{}```\n", page.path,
                  page.description, without_trailing_spaces(page.help));
  if (page.subcommands.empty()) return text;
  text += "\n| command | |\n|---|---|\n";
  for (const CommandPage& child : pages) {
    if (child.path.starts_with(page.path + " ")) text += index_line(child);
  }
  return text;
}

std::string markdown_index(const std::vector<CommandPage>& pages) {
  std::string text =
      "# Commands\n\n<!-- Written by `tessera manual --pages docs/commands`. "
      "-->\n\nWhat `--help` prints, a page for each. [JSON](../json.md) has "
      "what they print with `--json`.\n\n| command | |\n|---|---|\n";
  for (const CommandPage& page : pages) {
    if (!page.path.empty()) text += index_line(page);
  }
  return text;
}

}  // namespace tessera::cli
