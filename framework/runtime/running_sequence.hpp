// SPDX-License-Identifier: Apache-2.0
//
// Requests that have a sequence of a session, and what each of them takes of
// the next step.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/runtime/feed.hpp"
#include "framework/runtime/sampler.hpp"

namespace tessera {

struct RunningSequence {
  uint32_t sequence = 0;
  std::span<const int32_t> prompt;
  size_t prompt_done = 0;  // prompt tokens already fed
  int32_t last_token = 0;  // what decode feeds next
  Sampler sampler;
};

// One step's feeds, and whose they are.
struct StepFeeds {
  std::vector<Feed> feeds;
  std::vector<RunningSequence*> fed;
  bool has_prefill = false;
};

// Decode feeds of every sequence past its prompt, then prompt tokens while the
// step has `room`; the prompts count as fed.  Allocates nothing once `out_step`
// has held as many.
//
// Requires  `running` stays where it is until the step is done
void collect_feeds(std::span<RunningSequence* const> running, uint32_t room,
                   StepFeeds& out_step);

}  // namespace tessera
