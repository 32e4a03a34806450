// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/running_sequence.hpp"

#include <algorithm>

namespace tessera {

void collect_feeds(std::span<RunningSequence* const> running, uint32_t room,
                   StepFeeds& out_step) {
  out_step.feeds.clear();
  out_step.fed.clear();
  out_step.has_prefill = false;
  for (RunningSequence* const one : running) {
    if (one->prompt_done < one->prompt.size() || room == 0) continue;
    out_step.feeds.push_back(
        {one->sequence, {&one->last_token, 1}, TSR_DECODE, 1});
    out_step.fed.push_back(one);
    --room;
  }
  for (RunningSequence* const one : running) {
    if (one->prompt_done == one->prompt.size() || room == 0) continue;
    const size_t count =
        std::min<size_t>(room, one->prompt.size() - one->prompt_done);
    const auto tokens = one->prompt.subspan(one->prompt_done, count);
    one->prompt_done += count;
    const bool is_last = one->prompt_done == one->prompt.size();
    out_step.feeds.push_back(
        {one->sequence, tokens, TSR_PREFILL, is_last ? 1U : 0U});
    out_step.fed.push_back(one);
    room -= static_cast<uint32_t>(count);
    out_step.has_prefill = true;
  }
}

}  // namespace tessera
