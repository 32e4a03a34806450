// SPDX-License-Identifier: Apache-2.0
//
// What a report is made from: the JSON that commands print or write.

#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "framework/base/status.hpp"

namespace tessera::report {

// "bench ops", "bench model", "run" (of a history), "comparison", "plan",
// "quantization", "trace", "conformance" or "devices".
// NOLINTNEXTLINE(bugprone-exception-escape): moving JSON does not throw
struct Document {
  std::string name;  // of its file
  std::string kind;
  nlohmann::ordered_json json;
};

// Tells the kind of a document by its keys, and drops what no picture shows.
//
// Errors  INVALID_ARGUMENT, naming the file and what a report takes
Result<Document> read_document(const std::string& name, std::string_view text);

}  // namespace tessera::report
