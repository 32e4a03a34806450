// SPDX-License-Identifier: Apache-2.0
//
// Copies between the host's memory and the device's, and within the device.

#include <algorithm>
#include <utility>

#include "framework/bench/timed/make_op.hpp"
#include "framework/bench/timed/random_values.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::bench {
namespace {

// A buffer and the one that it is copied to.
struct Ends {
  Buffer src;
  Buffer dst;
};

Result<Ends> make_ends(Submitter& submitter, const std::string& op,
                       uint64_t bytes) {
  Ends ends;
  TSR_ASSIGN_OR_RETURN(ends.src, op == "upload"
                                     ? submitter.visible_buffer(bytes)
                                     : submitter.fast_buffer(bytes));
  TSR_ASSIGN_OR_RETURN(ends.dst, op == "download"
                                     ? submitter.visible_buffer(bytes)
                                     : submitter.fast_buffer(bytes));
  return ends;
}

Status check_copy(const std::vector<std::byte>& wanted, TimedOp& op) {
  TSR_ASSIGN_OR_RETURN(const std::vector<std::byte> found,
                       op.submitter.download(op.buffers[1], wanted.size()));
  const auto clash =
      std::mismatch(found.begin(), found.end(), wanted.begin()).first;
  if (clash == found.end()) return {};
  return {TSR_DATA_LOSS, "byte " + std::to_string(clash - found.begin()) +
                             " of the copy is another"};
}

}  // namespace

Result<std::unique_ptr<TimedOp>> make_transfer(Submitter& submitter,
                                               const OpQuestion& question) {
  const uint32_t dtype = question.type.empty() ? uint32_t{TSR_F16}
                                               : dtype_from_name(question.type);
  const uint64_t bytes =
      dtype_bytes(dtype, static_cast<uint64_t>(question.shape.at(0)) *
                             static_cast<uint64_t>(question.shape.at(1)));
  if (bytes == 0) {
    return Status(TSR_INVALID_ARGUMENT,
                  question.type + " is no type of a copy");
  }
  auto op = std::make_unique<TimedOp>(submitter);
  TSR_ASSIGN_OR_RETURN(Ends ends, make_ends(submitter, question.op, bytes));
  std::vector<float> values = random_values((bytes + 3) / 4, 9);
  const auto* data = reinterpret_cast<const std::byte*>(values.data());
  std::vector<std::byte> wanted(data, data + bytes);
  TSR_RETURN_IF_ERROR(submitter.write(ends.src, wanted));
  SubmissionBuilder submission(TSR_SUBMIT_COPY);
  tsr_submission& record = submission.record();
  record.src = ends.src.id();
  record.dst = ends.dst.id();
  record.bytes = bytes;
  submitter.prepare(submission);
  op->submissions.push_back(std::move(submission));
  op->buffers.push_back(std::move(ends.src));
  op->buffers.push_back(std::move(ends.dst));
  op->cost.bytes = 2 * bytes;  // read and written
  op->rotated_bytes = op->cost.bytes;
  op->kernel = "copy";
  op->check = [wanted = std::move(wanted), op = op.get()] {
    return check_copy(wanted, *op);
  };
  return op;
}

}  // namespace tessera::bench
