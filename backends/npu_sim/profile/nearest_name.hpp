// SPDX-License-Identifier: Apache-2.0
//
// What somebody who mistyped a name most likely meant.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tessera::npu {

// The name with the least edit distance from `wanted`; of equals the one that
// begins most like it, the first of those.  Empty if there are no names.
std::string nearest_name(std::string_view wanted,
                         const std::vector<std::string>& names);

}  // namespace tessera::npu
