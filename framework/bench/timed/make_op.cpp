// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/timed/make_op.hpp"

#include <string>
#include <vector>

namespace tessera::bench {

Result<std::unique_ptr<TimedOp>> make_op(Submitter& submitter,
                                         const OpQuestion& question,
                                         const MakeOptions& options) {
  // Of one dimension; a tensor of all of them is still the device's matter.
  constexpr int64_t kLargest = int64_t{1} << 24;
  std::vector<int64_t> sizes = question.shape;
  if (question.op == "attention") {
    sizes = {question.batch, question.q_len,    question.kv_len,
             question.heads, question.kv_heads, question.head_dim};
  }
  for (const int64_t size : sizes) {
    if (size <= kLargest) continue;
    return Status(TSR_INVALID_ARGUMENT, "a size of " + std::to_string(size) +
                                            " is more than " +
                                            std::to_string(kLargest));
  }
  if (question.op == "linear") {
    return make_linear(submitter, question, options);
  }
  if (question.op == "attention") {
    return make_attention(submitter, question, options);
  }
  if (question.op == "copy" || question.op == "upload" ||
      question.op == "download") {
    return make_transfer(submitter, question);
  }
  return make_row_op(submitter, question);
}

}  // namespace tessera::bench
