// SPDX-License-Identifier: Apache-2.0
//
// Reuse distances under random replacement: of a byte that others follow into
// a full cache of `room` bytes, exp(-followers / room) is left.

#include "backends/npu_sim/compiler/gemm/traffic.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "backends/npu_sim/machine/l2_cache.hpp"

namespace tessera::npu {
namespace {

// Of the fixed point of misses and distances, at most, and what is near enough.
constexpr int kIterations = 4;
constexpr double kNear = 1e-3;

double real(int64_t value) { return static_cast<double>(value); }

// 1 - exp(-x) for x >= 0, to one part in a hundred: the series of exp(x), cut.
double lost_share(double x) {
  constexpr double kThird = 1.0 / 3;
  return 1 - 1 / (1 + x * (1 + x / 2 * (1 + x * kThird * (1 + x / 4))));
}

}  // namespace

PartsSummary::PartsSummary(const std::vector<GemmPart>& parts) {
  for (const GemmPart& part : parts) {
    num_active += part.M > 0 ? 1 : 0;
    rows += part.M;
    most_rows = std::max(most_rows, part.M);
  }
}

int64_t tile_rows_of(const std::vector<GemmPart>& parts, int64_t tile_m) {
  int64_t rows = 0;
  for (const GemmPart& part : parts) rows += (part.M + tile_m - 1) / tile_m;
  return rows;
}

TrafficModel::TrafficModel(const Profile& profile, const GemmPlan& plan,
                           const PartsSummary& parts, int64_t tile_rows,
                           double cycles_before)
    : l2_bytes_(real(profile.global.l2_bytes)),
      capacity_share_(profile.assumptions.l2_capacity_share) {
  const GemmTiling& tiling = plan.tiling;
  const Gemm& gemm = plan.gemm;
  const double element = real(bits_of(plan.kind.cube)) / 8;
  const double K = real(gemm.K) * element;
  const double weight_row = K * (plan.kind.unzips ? gemm.compression : 1);
  const double out = real(bits_of(gemm.out)) / 8;
  const double active = real(std::max<int64_t>(1, parts.num_active));
  const double N = real(gemm.N);

  columns_ = real(plan.tiles_n());
  total_rows_ = real(tile_rows);
  packet_share_ = std::min(1.0, real(tiling.packet_k) / real(gemm.K));
  rows_ = total_rows_ / active;
  high_ = std::min(real(std::max<int64_t>(1, tiling.swizzle)), rows_);
  bands_ = std::ceil(rows_ / high_);
  const auto together = std::max<int64_t>(1, plan.cores / tiling.split_k);
  const double wave = std::min(real(together), rows_ * columns_);
  deep_ = std::max(1.0, high_ / wave);
  // Waves end within a column unless both divide alike.
  const auto rows = std::max<int64_t>(1, std::llround(high_));
  again_ = (1 - real(std::gcd(rows, together)) / real(rows)) * high_ /
           real(together);
  wide_ = std::clamp(wave / high_, 1.0, columns_);

  input_panel_ = real(parts.rows) / total_rows_ * K;
  weight_panel_ = N / columns_ * weight_row;
  input_unique_ = real(parts.rows) * K;
  weight_unique_ = active * N * weight_row;
  output_ = real(parts.rows) * N * out;
  others_ = output_ * real(plan.kind.vector_inputs);
  wave_others_ = (others_ + output_) * wave / (total_rows_ * columns_);
  unique_ = input_unique_ + weight_unique_ + others_ + output_;
  // What a pass has just written is in L2, as far as it fits.
  const double kept = l2_bytes_ * (1 - kCleanShare);
  const auto first = [&](double bytes) {
    written_before_ += bytes;
    return std::max(0.0, 1 - kept / bytes);
  };
  if (plan.is_later_slice) {
    first_input_ = input_left_out(plan);
  } else if (plan.kind.quantizes_input) {
    first_input_ = first(input_unique_);
  }
  if (plan.kind.widens_weight) {
    const double codes = code_bytes(plan);
    first_weight_ = std::max(
        first(weight_unique_),
        wide_left_out(codes, profile.dram_rate() * cycles_before - codes));
  }
}

// Wide weights that DRAM had time for are no safer than other clean bytes, and
// codes came in besides.
double TrafficModel::wide_left_out(double codes, double spare_bytes) const {
  const double clean = std::clamp(spare_bytes, 0.0, weight_unique_);
  const double all = clean + codes;
  const double left =
      room(std::min(l2_bytes_ * (1 - kCleanShare), weight_unique_ - clean));
  if (all <= left) return 0;
  // What came when, half of it before and half after a byte in the mean.
  const double kept = left / all * lost_share(all / left);
  return clean / weight_unique_ * (1 - left / all) * (1 - kept);
}

double TrafficModel::code_bytes(const GemmPlan& plan) const {
  return weight_unique_ * real(bits_of(plan.kind.stored_weight)) /
         real(bits_of(plan.kind.cube));
}

// What a slice leaves of the input to the next: its codes, its results and the
// input itself pass through what its wide weights leave of L2.
double TrafficModel::input_left_out(const GemmPlan& plan) const {
  const double codes = code_bytes(plan);
  const double left = std::max(l2_bytes_ * kCleanShare * capacity_share_,
                               room(weight_unique_ + output_));
  if (input_unique_ + codes <= left) return 0;
  double missed = 1;
  for (int i = 0; i < kIterations; ++i) {
    missed = lost_share((codes + input_unique_ * missed) / left);
  }
  return missed;
}

TrafficModel::Misses TrafficModel::misses_at(double room,
                                             double evicting) const {
  const double per_byte = 1 / room;
  const auto lost = [&](double bytes) {
    return evicting * lost_share(bytes * per_byte);
  };
  const double per_band = 1 / bands_;
  const double inputs = high_ / deep_ * input_panel_;  // of one wave
  const double steps = std::max(1.0, columns_ / wide_);
  Misses misses{1, again_ > 0 ? 1.0 : 0.0, bands_ > 1 ? 1.0 : 0.0};
  for (int i = 0; i < kIterations; ++i) {
    const double before = misses.input;
    const double first = (1 + (bands_ - 1) * misses.weight_sweep) * per_band;
    const double column =
        deep_ * (inputs * misses.input + wave_others_) +
        wide_ * weight_panel_ * (first + again_ * misses.weight_wave);
    misses.input = lost(column);
    if (again_ > 0) {
      misses.weight_wave = lost(column / deep_);
    }
    if (bands_ > 1) misses.weight_sweep = lost(steps * column);
    if (std::abs(before - misses.input) < kNear) break;
  }
  return misses;
}

Traffic TrafficModel::at(double dirty_bytes) const {
  const double left = room(dirty_bytes);
  Misses misses;
  double evicting = 0;
  if (unique_ > left) {
    evicting = 1 - left / unique_;
    misses = misses_at(left, evicting);
  }
  // Of cores that read the same packet, one comes before the other by half of
  // what all of them have on their way, in the mean.
  const double round =
      packet_share_ * (high_ / deep_ * input_panel_ + wide_ * weight_panel_);
  const double apart = evicting * lost_share(round / 2 / left);
  // `revisits` of the unique bytes that miss, among those read `times` over.
  const auto operand = [&](double unique, double times, double first,
                           double revisits) {
    OperandTraffic traffic;
    traffic.bytes = unique * times;
    traffic.first = first / times;
    const double missed = std::min(revisits / times, 1 - traffic.first);
    traffic.again = traffic.first < 1 ? missed / (1 - traffic.first) : 0;
    traffic.again += apart * (1 - traffic.again);
    return traffic;
  };
  const double input_visits = std::max(1.0, columns_ / wide_);
  Traffic traffic;
  traffic.input = operand(input_unique_, columns_, first_input_,
                          (input_visits - 1) * misses.input);
  traffic.weight = operand(weight_unique_, rows_, first_weight_,
                           (bands_ - 1) * misses.weight_sweep +
                               bands_ * again_ * misses.weight_wave);
  traffic.others = others_;
  return traffic;
}

}  // namespace tessera::npu
