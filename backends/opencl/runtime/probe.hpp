// SPDX-License-Identifier: Apache-2.0
//
// Runs code that may crash or hang in a child of this process.

#pragma once

#include <functional>
#include <string>

namespace tessera::opencl {

// Runs `body` in a forked child for at most `seconds`.  Returns "" if it ends,
// or if no child could be made; else what became of it, as "crash with signal
// 11" or "hang".
std::string probe_in_child(const std::function<void()>& body, int seconds);

}  // namespace tessera::opencl
