// SPDX-License-Identifier: Apache-2.0
//
// What histories say of the machines in them.

#pragma once

#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/report/document.hpp"

namespace tessera::cli {

// For each machine and kind of run one document, as `bench show` prints a run:
// the newest figures of each case, and the facts of the newest run.
//
// Errors  those of History::open() and load()
Result<std::vector<report::Document>> history_documents(
    const std::vector<std::string>& files);

}  // namespace tessera::cli
