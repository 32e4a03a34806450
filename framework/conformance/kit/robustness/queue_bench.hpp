// SPDX-License-Identifier: Apache-2.0
//
// A prepared op with a queue and a timeline, and cases that submit it.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "framework/conformance/kit/cases.hpp"

namespace tessera::conformance {

struct QueueBench {
  std::shared_ptr<Device> device;
  std::unique_ptr<OpRun> run;
  Queue queue;
  Timeline timeline;
  uint64_t timeline_id = 0;

  // Errors: what the device refuses or fails at.
  static Result<std::unique_ptr<QueueBench>> open(CaseContext& context,
                                                  const OpTrial& trial);
  // Submits, and returns what came of it.
  Status outcome(SubmissionBuilder& work, uint64_t value);
  // Reads the tensors back and compares the outputs.
  Status check_result(const OpTrial& trial);
  // Whether the tensors that were read back last are what was uploaded.
  bool is_untouched() const;
};

// Adds "L2/queue/ID", which runs `body` with an op that the plugin claims;
// nothing if it claims none.
void add_queue_case(const std::string& id, const TrialBody& body,
                    CaseList& cases);

}  // namespace tessera::conformance
