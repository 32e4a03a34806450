// SPDX-License-Identifier: Apache-2.0

#include "queue.hpp"

#include "device.hpp"

namespace my {

TemplateQueue::TemplateQueue(TemplateDevice& device)
    : BlockingQueue(device), device_(device) {}

// What this throws becomes the status of the submission's signal points.
void TemplateQueue::run(const tessera::sdk::SubmissionView& submission) {
  const tsr_submission& value = submission.value();
  switch (value.kind) {
    case TSR_SUBMIT_PROGRAM:
      device_.program(value.program)->run(submission);
      return;
    case TSR_SUBMIT_COPY:
      run_copy(value);
      return;
    default:
      throw tessera::sdk::Error(TSR_UNIMPLEMENTED,
                                "template: submissions of kind " +
                                    std::to_string(value.kind) +
                                    " are not supported");
  }
}

}  // namespace my
