// SPDX-License-Identifier: Apache-2.0
//
// What a comparison found, as a table and as JSON.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/cli/compare/speed.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/eval/metrics.hpp"
#include "framework/runtime/session.hpp"

namespace tessera::cli {

// One model on one device.
struct ComparisonSide {
  uint64_t parameters = 0;
  uint64_t stored_bytes = 0;  // codes, scales, embedding, norms
  EvalMetrics metrics;
  Session::Memory memory;
};

// A candidate beside the original.
struct ComparisonRow {
  std::string device;
  std::string clock;
  std::string name;  // a scheme, or a quantized model's path
  bool is_original = false;
  Status status;  // why there are no figures, unless it is OK
  ComparisonSide original;
  ComparisonSide candidate;
  // Taken in turns; none on a simulated clock.
  std::optional<Speed> original_speed;
  std::optional<Speed> candidate_speed;
};

// A line per row, then why rows have no figures.
std::string comparison_text(const std::vector<ComparisonRow>& rows);

// model_size, inference_speed and accuracy of original and candidate, and what
// else was measured; of an only candidate the object, else a list.
Json comparison_json(const std::vector<ComparisonRow>& rows);

}  // namespace tessera::cli
