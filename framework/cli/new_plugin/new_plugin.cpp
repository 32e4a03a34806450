// SPDX-License-Identifier: Apache-2.0
//
// tessera new-plugin: a project of a vendor's own, ready to build.

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>

#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/new_plugin/project.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/host/trust/trust.hpp"

namespace tessera::cli {
namespace {

struct NewPluginOptions {
  std::string name;
  std::string folder;
  bool plain_c = false;
  bool json = false;
};

// Where this program is installed with the SDK; empty if it is not.
std::string installed_prefix() {
  const std::filesystem::path prefix =
      std::filesystem::path(executable_folder() + "/..").lexically_normal();
  std::error_code code;
  for (const char* folder : {"lib", "lib64", "share"}) {
    if (std::filesystem::exists(prefix / folder / "cmake" / "tessera_sdk",
                                code)) {
      return prefix.parent_path().string();
    }
  }
  return "";
}

Status run_new_plugin(const NewPluginOptions& options) {
  TSR_RETURN_IF_ERROR(check_plugin_name(options.name));
  const std::string folder =
      options.folder.empty() ? options.name : options.folder;
  const std::vector<ProjectFile> project =
      options.plain_c ? renamed(tutorial_project(), "tutorial", options.name)
                      : renamed(template_project(), "template", options.name);
  TSR_RETURN_IF_ERROR(write_project(folder, project));
  if (options.json) {
    Json json;
    json["name"] = options.name;
    json["folder"] = folder;
    json["files"] = Json::array();
    for (const ProjectFile& file : project) json["files"].push_back(file.path);
    return print_json("new-plugin", json);
  }
  const std::string prefix = installed_prefix();
  write_out(fmt::format(
      "{0}: {1} files\n\nnext:\n  cd {0}\n"
      "  cmake -S . -B build -DCMAKE_PREFIX_PATH={2}\n"
      "  cmake --build build\n"
      "  tessera conform build/plugins/tsr_plugin_{3}.so --level 0\n"
      "README.md leads on from there\n",
      folder, project.size(),
      prefix.empty() ? "<where Tessera is installed>" : prefix, options.name));
  return {};
}

}  // namespace

Command add_new_plugin_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "new-plugin", "Write the project of a new plugin, ready to build");
  auto options = std::make_shared<NewPluginOptions>();
  app->add_option("NAME", options->name,
                  "Of the plugin: lower-case letters, digits, underscores")
      ->required();
  app->add_flag("--c", options->plain_c,
                "In plain C instead of C++ with the SDK's helpers");
  app->add_option("-o,--output", options->folder,
                  "Folder to write; NAME if left out")
      ->type_name("FOLDER");
  add_json_option(*app, options->json);
  app->footer("Example:\n  tessera new-plugin my_npu");
  return {app, [options] { return run_new_plugin(*options); }};
}

}  // namespace tessera::cli
