// SPDX-License-Identifier: Apache-2.0
//
// One number for each region, and one that shrinks them all.

#include "backends/npu_sim/machine/l2_cache.hpp"

#include <algorithm>

namespace tessera::npu {
namespace {

// Below it a share is nothing, and divisions by it stay finite.
constexpr double kLeastDecay = 1e-200;

}  // namespace

void L2Cache::clean_oldest(double bytes) {
  while (bytes > 0 && !queue_.empty()) {
    Dirty& oldest = queue_.front();
    const double taken = std::min(bytes, oldest.bytes);
    Written& written = written_[oldest.tensor];
    written.dirty -= taken;
    add(written.clean, taken);
    dirty_ -= taken;
    clean_ += taken;
    oldest.bytes -= taken;
    bytes -= taken;
    if (oldest.bytes <= 0) queue_.pop_front();
  }
}

double L2Cache::write_back(double spare_bytes) {
  const double taken = std::min(spare_bytes, std::max(0.0, dirty_));
  clean_oldest(taken);
  return taken;
}

// `incoming` bytes from DRAM or from a core.
void L2Cache::make_room(double incoming, L2Access& access) {
  const double most = capacity_ * (1 - kCleanShare);
  const double least = capacity_ * kDrainedShare;
  is_draining_ = dirty_ > most || (is_draining_ && dirty_ > least);
  if (is_draining_) {
    // A byte leaves for each that comes, besides what is beyond the mark.
    const double leaving =
        std::min(dirty_ - least, std::max(0.0, dirty_ - most) + incoming);
    access.dram_write_bytes += leaving;
    clean_oldest(leaving);
  }
  const double room = std::max(0.0, capacity_ - dirty_) / clean_cost_;
  if (clean_ <= room) return;
  decay_ *= room / clean_;
  clean_ = room;
  if (decay_ < kLeastDecay) {
    // Next to nothing is left of what is older.
    decay_ = 1;
    ++epoch_;
  }
}

L2Access L2Cache::read(uint64_t region, double bytes) {
  L2Access access;
  const auto written = written_.find(tensor_of(region));
  double kept_share = -1;  // of what a launch wrote
  if (written != written_.end()) {
    const Written& tensor = written->second;
    const double held = tensor.dirty + left(tensor.clean);
    kept_share = std::clamp(held / tensor.bytes, 0.0, 1.0);
  }
  Clean& clean = (kept_share < 0 ? regions_ : read_back_)[region];
  const double missing =
      std::max(0.0, bytes - left(clean)) * (1 - std::max(0.0, kept_share));
  access.miss_share = missing / std::max(bytes, 1.0);
  access.dram_read_bytes = missing;
  add(clean, missing);
  clean_ += missing;
  make_room(missing, access);
  return access;
}

L2Access L2Cache::write(uint64_t region, double bytes) {
  L2Access access;
  Written& tensor = written_[tensor_of(region)];
  // A region written again is the same bytes: one entry says how many there
  // are.
  const auto [found, is_new] = regions_.try_emplace(region, Clean{});
  static_cast<void>(found);
  if (!is_new) {
    // What is still dirty stays so; the rest comes back.
    const double gone =
        std::clamp(1 - tensor.dirty / tensor.bytes, 0.0, 1.0) * bytes;
    tensor.dirty += gone;
    dirty_ += gone;
    if (gone > 0) queue_.push_back({tensor_of(region), gone});
    const double clean = std::min(left(tensor.clean), gone);
    add(tensor.clean, -clean);
    clean_ = std::max(0.0, clean_ - clean);
  } else {
    tensor.bytes += bytes;
    tensor.dirty += bytes;
    dirty_ += bytes;
    queue_.push_back({tensor_of(region), bytes});
  }
  make_room(bytes, access);
  return access;
}

}  // namespace tessera::npu
