// SPDX-License-Identifier: Apache-2.0
//
// Few works one by one, many in the mean.

#include "backends/npu_sim/compiler/attention/samples.hpp"

#include <algorithm>
#include <cmath>

namespace tessera::npu {

int64_t lead_of(const AttentionPlan& plan) {
  return plan.preload +
         (plan.widening == Widening::kAhead ? plan.widen_ahead() : 0);
}

namespace {

// Before the last work of some, and of works that are known.
struct Limits {
  int64_t samples = 16;
  int64_t listed = 32;
};

// Tiles of many packets each come to their pace sooner.
Limits limits_of(const AttentionPlan& plan) {
  constexpr Limits kOfLong{9, 18};
  return plan.attention.v_in_k ? kOfLong : Limits{};
}

double real(int64_t value) { return static_cast<double>(value); }

// Of a work, tiles are followed one by one until each adds the same: what two
// of them add is what those left out do.
int64_t measured_from(const AttentionPlan& plan) {
  return std::max<int64_t>(1, lead_of(plan) - 1);
}
int64_t measured_to(const AttentionPlan& plan) {
  return measured_from(plan) + 2;
}

// Of a work, so many are followed; the last, which may be short, is not
// measured.
int64_t most_of_work(const AttentionPlan& plan) {
  return measured_to(plan) + 2 + lead_of(plan);
}

void sample_work(const AttentionPlan& plan, int64_t rows, double tiles,
                 int64_t last_keys, Samples& samples) {
  const int64_t most = most_of_work(plan);
  const int64_t sampled =
      std::min(std::max<int64_t>(1, std::llround(tiles)), most);
  for (int64_t i = 0; i < sampled; ++i) {
    const bool is_last = i + 1 == sampled;
    Sample& one = samples.all.at(static_cast<size_t>(samples.count));
    one.tile = {samples.count++, rows, is_last ? last_keys : plan.tile_keys,
                i == 0, is_last};
    one.begins = i == measured_from(plan);
    if (i == measured_to(plan)) {
      one.left_out = std::max(0.0, tiles - real(most));
    }
  }
  if (samples.done == 0) samples.first_work = samples.count;
  samples.done += tiles;
}

// Rows of the works of a core: full tiles, and short ones between them, for a
// tile's time does not grow evenly with its rows.
class WorkRows {
 public:
  WorkRows(const AttentionPlan& plan, const CoreShare& share)
      : tile_rows_(plan.tile_rows),
        full_(share.full / share.tiles),
        short_(share.rows) {}

  int64_t of(int64_t work) const {
    // So many are full before and with this one.
    const double before = std::floor(real(work) * full_ + 0.5);
    const bool is_full = std::floor(real(work + 1) * full_ + 0.5) > before;
    return is_full ? tile_rows_ : std::max<int64_t>(1, std::llround(short_));
  }

 private:
  int64_t tile_rows_;
  double full_;   // their share of the tiles
  double short_;  // rows of the others, in the mean
};

// Some works of a core, as alike as whole tiles let them be.
Samples sample_means(const AttentionPlan& plan, const CoreShare& share) {
  const double of_work = share.tiles / share.works;
  const WorkRows rows(plan, share);
  const auto last_keys = std::clamp<int64_t>(
      plan.tile_keys - std::llround(share.missing), 1, plan.tile_keys);
  const auto works = static_cast<int64_t>(share.works);
  const int64_t most = limits_of(plan).samples;
  Samples samples;
  for (int64_t work = 0; work < works && samples.count < most; ++work) {
    const double left = of_work * real(work + 1) - samples.done;
    const double tiles =
        std::max(1.0, work + 1 == works ? left : std::round(left));
    sample_work(plan, rows.of(work), tiles, last_keys, samples);
  }
  return samples;
}

}  // namespace

Samples sample_tiles(const AttentionPlan& plan, const CoreShare& share) {
  Samples samples;
  int64_t count = 0;
  for (size_t i = 0; i < share.num_listed; ++i) {
    count += std::min(share.listed.at(i).tiles, most_of_work(plan));
  }
  if (count == 0 || count > limits_of(plan).listed) {
    return sample_means(plan, share);
  }
  for (size_t i = 0; i < share.num_listed; ++i) {
    const WorkShape& work = share.listed.at(i);
    sample_work(plan, work.rows, real(work.tiles),
                work.keys - (work.tiles - 1) * plan.tile_keys, samples);
  }
  return samples;
}

}  // namespace tessera::npu
