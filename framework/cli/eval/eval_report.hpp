// SPDX-License-Identifier: Apache-2.0
//
// What an evaluation found, as text and as JSON.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/cli/eval/gates.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/eval/evaluate.hpp"
#include "framework/eval/metrics.hpp"

namespace tessera::cli {

// What holds for all phases of one evaluation.
struct EvalSubject {
  std::string device;
  std::string scheme;
  std::string plan;  // a file, or empty
  std::string head_scheme;
  std::string embedding_scheme;
  std::string text;     // the file's path
  std::string against;  // a device, "oracle", or empty
  size_t num_documents = 0;
  double oracle_accuracy = 0.0;
};

struct PhaseResult {
  std::string phase;  // "prefill" or "decode"
  EvalMetrics metrics;
  std::optional<Agreement> agreement;
  std::vector<std::string> missed;  // gates
};

std::string phase_text(const EvalSubject& subject, const PhaseResult& result);
Json phase_json(const EvalSubject& subject, const PhaseResult& result);

}  // namespace tessera::cli
