// SPDX-License-Identifier: Apache-2.0
//
// Brings the op of a question to a device.

#pragma once

#include <cstdint>
#include <memory>

#include "framework/base/status.hpp"
#include "framework/bench/op_question.hpp"
#include "framework/bench/timed/timed_op.hpp"

namespace tessera::bench {

struct MakeOptions {
  bool cold = false;  // rotates over weights, or caches, of `cold_bytes`
  uint64_t cold_bytes = 0;
};

// `submitter` outlives the op.
//
// Errors  INVALID_ARGUMENT for a question that makes no sense; what the device
//         says of it, UNIMPLEMENTED above all
Result<std::unique_ptr<TimedOp>> make_op(Submitter& submitter,
                                         const OpQuestion& question,
                                         const MakeOptions& options);

// Of each kind of op; as make_op().
Result<std::unique_ptr<TimedOp>> make_linear(Submitter& submitter,
                                             const OpQuestion& question,
                                             const MakeOptions& options);
Result<std::unique_ptr<TimedOp>> make_attention(Submitter& submitter,
                                                const OpQuestion& question,
                                                const MakeOptions& options);
Result<std::unique_ptr<TimedOp>> make_row_op(Submitter& submitter,
                                             const OpQuestion& question);
Result<std::unique_ptr<TimedOp>> make_transfer(Submitter& submitter,
                                               const OpQuestion& question);

}  // namespace tessera::bench
