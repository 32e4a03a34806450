// SPDX-License-Identifier: Apache-2.0
//
// Fluid transfers with max-min fair shares (water filling): Bertsekas and
// Gallager, Data Networks, 2nd ed., section 6.5.2.

#include "backends/npu_sim/machine/arbiter.hpp"

#include <algorithm>
#include <limits>

namespace tessera::npu {
namespace {

// The level at which the sum of min(demand, level) is `capacity`.
double water_level(std::vector<double>& demands, double capacity) {
  std::sort(demands.begin(), demands.end());
  double left = capacity;
  for (size_t i = 0; i < demands.size(); ++i) {
    const double even = left / static_cast<double>(demands.size() - i);
    if (demands[i] >= even) return even;
    left -= demands[i];
  }
  return std::numeric_limits<double>::infinity();
}

}  // namespace

void Arbiter::advance(double now) {
  const double elapsed = now - now_;
  now_ = now;
  if (elapsed <= 0) return;
  spare_bytes_ += std::max(0.0, dram_rate_ - dram_use()) * elapsed;
  for (Active& active : active_) {
    active.left = std::max(0.0, active.left - active.rate * elapsed);
  }
}

void Arbiter::share_dram() {
  double demand = 0;
  for (const Active& active : active_) {
    demand += active.rate * active.transfer.dram_share;
  }
  if (demand <= dram_rate_) return;
  std::vector<double> demands;
  for (const Active& active : active_) {
    if (active.transfer.dram_share > 0) {
      demands.push_back(active.rate * active.transfer.dram_share);
    }
  }
  const double level = water_level(demands, dram_rate_);
  for (Active& active : active_) {
    const double share = active.transfer.dram_share;
    if (share > 0) active.rate = std::min(active.rate, level / share);
  }
}

void Arbiter::share_l2() {
  if (l2_rate_ <= 0 || total_rate() <= l2_rate_) return;
  std::vector<double> demands;
  demands.reserve(active_.size());
  for (const Active& active : active_) demands.push_back(active.rate);
  const double level = water_level(demands, l2_rate_);
  for (Active& active : active_) active.rate = std::min(active.rate, level);
}

void Arbiter::share() {
  for (Active& active : active_) active.rate = active.transfer.rate;
  share_dram();
  share_l2();
  next_end_ = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < active_.size(); ++i) {
    const double end = now_ + active_[i].left / active_[i].rate;
    if (end < next_end_) {
      next_end_ = end;
      next_ = i;
    }
  }
}

void Arbiter::start(const Transfer& transfer, double now) {
  advance(now);
  active_.push_back({transfer, transfer.bytes, 0});
  share();
}

int64_t Arbiter::finish_next() {
  advance(next_end_);
  const int64_t owner = active_[next_].transfer.owner;
  active_[next_] = active_.back();
  active_.pop_back();
  share();
  return owner;
}

double Arbiter::take_spare_bytes() {
  const double bytes = spare_bytes_;
  spare_bytes_ = 0;
  return bytes;
}

double Arbiter::total_rate() const {
  double sum = 0;
  for (const Active& active : active_) sum += active.rate;
  return sum;
}

double Arbiter::dram_use() const {
  double sum = 0;
  for (const Active& active : active_) {
    sum += active.rate * active.transfer.dram_share;
  }
  return sum;
}

}  // namespace tessera::npu
