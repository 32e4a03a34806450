// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/measure/placements.hpp"

#include <algorithm>
#include <utility>

namespace tessera::bench {
namespace {

constexpr int kWarmUps = 2;

uint64_t bytes_of(const TimedOp& op) {
  uint64_t bytes = op.rotated_bytes;
  for (const Buffer& buffer : op.buffers) bytes += buffer.bytes();
  return bytes;
}

}  // namespace

Result<Placements> Placements::create(Make make) {
  Placements placements(std::move(make));
  TSR_RETURN_IF_ERROR(placements.add());
  const uint64_t bytes = std::max<uint64_t>(bytes_of(placements.first()), 1);
  placements.most_ = std::max<uint64_t>(kMostBytes / bytes, 1);
  return placements;
}

Status Placements::add() {
  TSR_ASSIGN_OR_RETURN(std::unique_ptr<TimedOp> op, make_());
  placed_.push_back(std::move(op));
  return {};
}

Result<TimedOp*> Placements::next() {
  const size_t sample = samples_++;
  // The first has run when what a sample takes was found out.
  if (sample == 0 || most_ == 1) return placed_.front().get();
  if (placed_.size() < most_) {
    Status added = add();
    if (added.code() == TSR_RESOURCE_EXHAUSTED) {
      most_ = placed_.size();
    } else {
      TSR_RETURN_IF_ERROR(std::move(added));
    }
  }
  TimedOp* op = placed_[sample % most_].get();
  for (int i = 0; i < kWarmUps; ++i) TSR_RETURN_IF_ERROR(op->run());
  return op;
}

Status Placements::check() const {
  for (const auto& op : placed_) TSR_RETURN_IF_ERROR(op->check());
  return {};
}

}  // namespace tessera::bench
