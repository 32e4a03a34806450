// SPDX-License-Identifier: Apache-2.0
//
// The projects that tessera new-plugin copies, as they stand in plugins/.

#pragma once

#include <string>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::cli {

struct ProjectFile {
  std::string path;  // relative to the project
  std::string text;
};

// plugins/template: C++ over the SDK's helpers, one op.
std::vector<ProjectFile> template_project();
// plugins/tutorial: plain C, linear on the host's threads.
std::vector<ProjectFile> tutorial_project();

// INVALID_ARGUMENT unless `name` can name a plugin, its target and a class.
Status check_plugin_name(const std::string& name);

// `project` with the word `was`, and Was, replaced by `name` and its class
// name: "my_npu" and "MyNpu".
std::vector<ProjectFile> renamed(std::vector<ProjectFile> project,
                                 const std::string& was,
                                 const std::string& name);

// Writes the files; the folder appears whole or not at all.
// Errors: FAILED_PRECONDITION if it is there already.
Status write_project(const std::string& folder,
                     const std::vector<ProjectFile>& project);

}  // namespace tessera::cli
