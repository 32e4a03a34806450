// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/manual/command_page.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <sstream>
#include <string_view>

#include "framework/cli/command.hpp"
#include "framework/format/scheme.hpp"

namespace tessera::cli {
namespace {

// CLI11 describes a set of words as "{a,b,c}".
std::vector<std::string> choices_of(CLI::Option& option) {
  std::vector<std::string> choices;
  std::string text;
  try {
    text = option.get_validator(0)->get_description();
  } catch (const CLI::OptionNotFound&) {  // there is no validator
    return choices;
  }
  if (!text.starts_with('{') || !text.ends_with('}')) return choices;
  std::istringstream words(text.substr(1, text.size() - 2));
  for (std::string word; std::getline(words, word, ',');) {
    choices.push_back(word);
  }
  return choices;
}

OptionEntry entry_of(CLI::Option& option) {
  OptionEntry entry;
  for (const std::string& name : option.get_lnames()) {
    entry.names.push_back("--" + name);
  }
  for (const std::string& name : option.get_snames()) {
    entry.names.push_back("-" + name);
  }
  if (option.get_positional() && entry.names.empty()) {
    entry.positional = option.get_name(true);
  }
  if (option.get_items_expected_max() > 0) {
    entry.value =
        option.get_type_name().empty() ? "VALUE" : option.get_type_name();
  }
  entry.help = option.get_description();
  entry.choices = choices_of(option);
  if (entry.value == "SCHEME") entry.choices = scheme_names();
  return entry;
}

void add_pages(CLI::App& app, const std::string& path,
               std::vector<CommandPage>& pages) {
  CommandPage page;
  page.path = path;
  page.description = app.get_description();
  page.footer = app.get_footer();
  const size_t end = path.rfind(' ');
  std::string parent = "tessera";
  if (end != std::string::npos) parent += " " + path.substr(0, end);
  page.help = app.help(path.empty() ? "" : parent);
  for (CLI::Option* option : app.get_options()) {
    page.options.push_back(entry_of(*option));
  }
  const std::vector<CLI::App*> children = app.get_subcommands(nullptr);
  for (const CLI::App* child : children) {
    page.subcommands.push_back(child->get_name());
  }
  pages.push_back(std::move(page));
  for (CLI::App* child : children) {
    add_pages(*child,
              path.empty() ? child->get_name() : path + " " + child->get_name(),
              pages);
  }
}

}  // namespace

bool OptionEntry::takes_path() const {
  return value == "FILE" || value == "FOLDER" || positional == "MODEL" ||
         positional == "FILE" || positional == "PLUGIN";
}

std::vector<CommandPage> command_pages(CLI::App& tessera) {
  std::vector<CommandPage> pages;
  add_pages(tessera, "", pages);
  return pages;
}

std::vector<CommandPage> all_command_pages() {
  CLI::App tessera;
  // They keep the options that the pages are read from.
  const std::vector<Command> commands = add_commands(tessera);
  return command_pages(tessera);
}

}  // namespace tessera::cli
