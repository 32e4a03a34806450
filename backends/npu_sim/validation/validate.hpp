// SPDX-License-Identifier: Apache-2.0
//
// The simulator against public measurements.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/npu_sim/problem/problem.hpp"
#include "backends/npu_sim/simulation/simulate.hpp"

namespace tessera::npu {

// One step of a known model, batch 1.
struct ModelStep {
  std::string model;
  Scheme scheme = Scheme::kW16A16;  // of the block's linears
  double compression = 1;           // kW8A8Sc
  int64_t tokens = 1;               // 1: decode
  int64_t cached = 0;               // this step's included
};

// What a row runs: a launch, one instruction, or a step of a model.
struct Experiment {
  enum class Kind { kLaunch, kMmad, kLoadPair, kStep };
  Kind kind = Kind::kLaunch;
  Problem problem;
  SimulateOptions options;
  int64_t m = 0;  // kMmad, kLoadPair
  int64_t n = 0;
  int64_t k = 0;
  bool pipelined = false;
  ModelStep step;  // kStep
};

struct ValidationRow {
  std::string id;
  std::string kind;  // calibration, visible, or a word of the file's own
  std::string what;
  std::string profile;
  std::string metric;
  std::string source;
  Experiment experiment;
  std::optional<Experiment> over;  // speedup: what it is compared with
  double low = 0;                  // of the target; equal to high for a value
  double high = 0;
  double tolerance = 0;
  // The parameters this row gave, with their values had it not been there.
  std::map<std::string, double> without;
};

struct ValidationResult {
  ValidationRow row;
  double value = 0;
  double error = 0;  // relative to the nearest end of the target; 0 inside
  // The same with the values of `without`: what the row would be predicted as
  // by the others alone.
  double left_out_error = 0;
  bool within() const;
};

struct Validation {
  std::vector<ValidationResult> results;
  int64_t fitted_parameters = 0;
  double mape(std::string_view kind) const;  // mean of |error|
  int64_t count(std::string_view kind) const;
};

// The rows shipped with the library.
std::string_view builtin_rows_text();

// Errors  throws sdk::Error INVALID_ARGUMENT, naming the file, the row and the
//         key
std::vector<ValidationRow> parse_rows(std::string_view text,
                                      const std::string& origin);

// Runs the rows.  Profiles are those shipped, or from files that rows name.
Validation validate(const std::vector<ValidationRow>& rows);

// Time of the step in ns, launches included.
//
// Errors  throws sdk::Error NOT_FOUND for an unknown model
double model_step_ns(Simulator& simulator, const ModelStep& step);

// docs/npu_validation.md.
std::string validation_markdown(const Validation& validation);

}  // namespace tessera::npu
