// SPDX-License-Identifier: Apache-2.0
//
// One number for each region, and one that shrinks them all.

#include "backends/npu_sim/machine/l2_cache.hpp"

#include <algorithm>

namespace tessera::npu {
namespace {

// Below it a share is nothing, and divisions by it stay finite.
constexpr double kLeastDecay = 1e-200;
constexpr int kPlaceBits = 20;

}  // namespace

double L2Cache::take(Written& tensor, double bytes) {
  double taken = 0;
  while (taken < bytes && !tensor.pieces.empty()) {
    Piece& oldest = tensor.pieces.front();
    const double part = std::min(bytes - taken, oldest.bytes);
    taken += part;
    oldest.bytes -= part;
    if (oldest.bytes <= 0) tensor.pieces.pop_front();
  }
  return taken;
}

void L2Cache::clean_oldest(double bytes) {
  while (bytes > 0) {
    Written* oldest = nullptr;
    for (auto& [number, tensor] : written_) {
      if (tensor.pieces.empty()) continue;
      if (oldest == nullptr ||
          tensor.pieces.front().time < oldest->pieces.front().time) {
        oldest = &tensor;
      }
    }
    if (oldest == nullptr) return;
    const double taken =
        take(*oldest, std::min(bytes, oldest->pieces.front().bytes));
    oldest->dirty -= taken;
    add(oldest->clean, taken);
    dirty_ -= taken;
    clean_ += taken;
    bytes -= taken;
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

// A place that is written again and again is read while what came last is
// there, whatever became of what it held before.
double L2Cache::kept_share(const Written& tensor, uint64_t region) const {
  const double held = tensor.dirty + left(tensor.clean);
  const auto last = last_written_.find(region >> kPlaceBits);
  return std::clamp(
      std::max(held / tensor.bytes,
               last == last_written_.end() ? 0 : left(last->second)),
      0.0, 1.0);
}

L2Access L2Cache::read(uint64_t region, double bytes) {
  L2Access access;
  const auto written = written_.find(tensor_of(region));
  const bool is_written = written != written_.end();
  const double kept = is_written ? kept_share(written->second, region) : 0;
  Clean& clean = (is_written ? read_back_ : regions_)[region];
  const double missing = std::max(0.0, bytes - left(clean)) * (1 - kept);
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
    tensor.pieces.push_back({writes_++, gone + take(tensor, bytes - gone)});
    const double clean = std::min(left(tensor.clean), gone);
    add(tensor.clean, -clean);
    clean_ = std::max(0.0, clean_ - clean);
  } else {
    tensor.bytes += bytes;
    tensor.dirty += bytes;
    dirty_ += bytes;
    tensor.pieces.push_back({writes_++, bytes});
  }
  make_room(bytes, access);
  last_written_[region >> kPlaceBits] = {1, decay_, epoch_};
  return access;
}

}  // namespace tessera::npu
