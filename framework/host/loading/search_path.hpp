// SPDX-License-Identifier: Apache-2.0
//
// Where plugins are looked for.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tessera {

// Absolute folders, first match wins: beside the executable in a build tree, in
// an installation, then those of TESSERA_PLUGIN_PATH, unless this program runs
// with more rights than its caller.  The current folder is never among them.
std::vector<std::string> plugin_search_path();

// The folders of a colon-separated list; those that are not absolute are left
// out, with a warning.
std::vector<std::string> split_search_path(std::string_view list);

}  // namespace tessera
