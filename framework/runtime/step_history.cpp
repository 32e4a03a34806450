// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/step_history.hpp"

namespace tessera {

void StepHistory::reserve(uint64_t num_tokens) {
  events_.reserve(num_tokens);
  feeds_.reserve(num_tokens);
  tokens_.reserve(num_tokens);
}

void StepHistory::open(uint32_t sequence) {
  events_.push_back({Kind::kOpen, sequence});
  ++num_open_;
}

void StepHistory::close(uint32_t sequence) {
  events_.push_back({Kind::kClose, sequence});
  if (--num_open_ > 0) return;
  events_.clear();
  feeds_.clear();
  tokens_.clear();
  num_steps_ = 0;
}

void StepHistory::add_step(std::span<const Feed> feeds) {
  events_.push_back({Kind::kStep, 0, feeds_.size(), feeds.size()});
  for (const Feed& feed : feeds) {
    feeds_.push_back(
        {feed.sequence, feed.phase, tokens_.size(), feed.tokens.size()});
    tokens_.insert(tokens_.end(), feed.tokens.begin(), feed.tokens.end());
  }
  ++num_steps_;
}

void StepHistory::feeds_of(const Event& step,
                           std::vector<Feed>& out_feeds) const {
  out_feeds.clear();
  for (uint64_t i = 0; i < step.num_feeds; ++i) {
    const StoredFeed& stored = feeds_[step.first_feed + i];
    const std::span<const int32_t> all(tokens_);
    out_feeds.push_back({stored.sequence,
                         all.subspan(stored.first_token, stored.num_tokens),
                         stored.phase, 0});
  }
}

}  // namespace tessera
