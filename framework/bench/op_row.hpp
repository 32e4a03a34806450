// SPDX-License-Identifier: Apache-2.0
//
// A row of `bench ops` for an op that ran.

#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "framework/bench/limits/device_limits.hpp"
#include "framework/bench/measure/measure.hpp"
#include "framework/bench/op_question.hpp"

namespace tessera::bench {

// What every row begins with: op, device, scheme, shape.
nlohmann::ordered_json question_row(const OpQuestion& question,
                                    const std::string& device);

// The keys of docs/json.md; those of add_interval() are null.
nlohmann::ordered_json measured_row(const OpQuestion& question,
                                    const TimedOp& op,
                                    const Measurement& measurement,
                                    const OpLimit& limit);

// What the samples of a row say of a later run; `machine_wander`: of
// median_interval().
void add_interval(double machine_wander, nlohmann::ordered_json& row);

// The same of an op that a device did not take, or got wrong: `status` says
// why.
nlohmann::ordered_json failed_row(const OpQuestion& question,
                                  const std::string& device,
                                  const Status& status);

}  // namespace tessera::bench
