// SPDX-License-Identifier: Apache-2.0
//
// What a session was fed, in the order and the batches in which it came: what
// it takes to make its KV cache again.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/runtime/feed.hpp"

namespace tessera {

// Forgets everything once no sequence is open: nothing of it is cached then.
class StepHistory {
 public:
  enum class Kind : uint32_t { kOpen, kClose, kStep };
  struct Event {
    Kind kind;
    uint32_t sequence = 0;    // kOpen, kClose
    uint64_t first_feed = 0;  // kStep
    uint64_t num_feeds = 0;
  };

  // Room for so many tokens in steps of one token each; more is allocated when
  // it is needed.
  void reserve(uint64_t num_tokens);

  void open(uint32_t sequence);
  void close(uint32_t sequence);
  void add_step(std::span<const Feed> feeds);

  const std::vector<Event>& events() const { return events_; }
  // The feeds of a step, which want no logits.  Replaces what is in
  // `out_feeds`; its tokens are valid until the history changes.
  void feeds_of(const Event& step, std::vector<Feed>& out_feeds) const;
  uint64_t num_steps() const { return num_steps_; }

 private:
  struct StoredFeed {
    uint32_t sequence;
    uint32_t phase;
    uint64_t first_token;
    uint64_t num_tokens;
  };

  std::vector<Event> events_;
  std::vector<StoredFeed> feeds_;
  std::vector<int32_t> tokens_;
  uint64_t num_steps_ = 0;
  uint64_t num_open_ = 0;
};

}  // namespace tessera
