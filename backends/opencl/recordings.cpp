// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/recordings.hpp"

#include <algorithm>
#include <utility>

namespace tessera::opencl {
namespace {

constexpr size_t kMaxEntries = 8;

std::array<uint32_t, 5> counts_of(const tsr_submission& submission) {
  return {submission.num_tokens, submission.num_seqs, submission.num_outputs,
          submission.max_q_len, submission.num_decode_tokens};
}

}  // namespace

StepShape::StepShape(cl_command_queue step_queue,
                     const tsr_submission& submission,
                     const TensorPlaces& step_places)
    : queue(step_queue),
      counts(counts_of(submission)),
      places(step_places.bound()) {}

bool StepShape::is(cl_command_queue step_queue,
                   const tsr_submission& submission,
                   const TensorPlaces& step_places) const {
  return queue == step_queue && counts == counts_of(submission) &&
         step_places.is_bound_to(places);
}

Recordings::Choice Recordings::choose(cl_command_queue queue,
                                      const tsr_submission& submission,
                                      const TensorPlaces& places, bool eager) {
  ++clock_;
  for (size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (!entry.shape.is(queue, submission, places)) continue;
    entry.last_use = clock_;
    chosen_ = i;
    return {entry.commands.get(), entry.commands == nullptr};
  }
  if (entries_.size() == kMaxEntries) {
    entries_.erase(std::min_element(entries_.begin(), entries_.end(),
                                    [](const Entry& a, const Entry& b) {
                                      return a.last_use < b.last_use;
                                    }));
  }
  entries_.push_back({StepShape(queue, submission, places), nullptr, clock_});
  chosen_ = entries_.size() - 1;
  return {nullptr, eager};
}

CommandBuffer& Recordings::keep(std::unique_ptr<CommandBuffer> commands) {
  entries_[chosen_].commands = std::move(commands);
  return *entries_[chosen_].commands;
}

}  // namespace tessera::opencl
