// SPDX-License-Identifier: Apache-2.0
//
// Each function names the instructions that it stands for.

#include "backends/npu_sim/compiler/attention/pipeline.hpp"

#include <algorithm>
#include <cmath>

#include "backends/npu_sim/compiler/attention/flags.hpp"
#include "backends/npu_sim/compiler/attention/lowering.hpp"
#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

constexpr double kUbToL1Rate = 128;  // as costs.cpp

double real(int64_t value) { return static_cast<double>(value); }

size_t place(int64_t index) { return static_cast<size_t>(index) % 8; }

// What a pipe's queue takes; with more, the scalar unit waits and all that
// comes after waits with it.
constexpr double kQueue = 32;

}  // namespace

AttentionPipeline::AttentionPipeline(const Profile& profile,
                                     const AttentionPlan& plan,
                                     const CacheTraffic& traffic)
    : profile_(profile), plan_(plan), traffic_(traffic) {
  const double factor = profile.assumptions.l2_core_factor;
  l2_rate_ = profile.global.l2_read_rate * factor;
  write_rate_ = profile.global.l2_write_rate * factor;
  hop_ = profile.global.write_latency_cycles +
         profile.assumptions.cross_core_cycles;
}

int64_t AttentionPipeline::lane_rows(int64_t rows) const {
  return ceil_div(rows, plan_.num_lanes);
}

double AttentionPipeline::passes(double elements, int64_t count) const {
  return real(count) * (elements / (profile_.vector.bytes_per_cycle / 4) +
                        profile_.vector.issue_cycles);
}

void AttentionPipeline::vector(double cycles, double ready) {
  vector_ = std::max(vector_, ready) + cycles;
  vector_done_ =
      vector_ - profile_.vector.issue_cycles + profile_.vector.latency_cycles;
}

// `rows` pieces of `row_bytes`, which share lines of L2 no further.
double AttentionPipeline::transfer(double bytes, int64_t rows, double row_bytes,
                                   double first) const {
  const double penalty = row_penalty(
      profile_, row_bytes, static_cast<uint64_t>(row_bytes), 0, rows > 1);
  const double own = profile_.global.dram_core_rate > 0
                         ? std::min(profile_.global.dram_core_rate, l2_rate_)
                         : l2_rate_;
  const Transfer one{bytes, l2_rate_ / penalty, own / penalty,
                     profile_.global.dma_issue_cycles};
  OperandTraffic traffic;
  traffic.first = first;
  return one.cycles(traffic, profile_.dram_rate(), traffic_.cores);
}

// `dims` columns of `keys` keys, multiplied to an [m, n] tile over k.
AttentionPipeline::Packet AttentionPipeline::packet(int64_t keys, int64_t dims,
                                                    int64_t n, int64_t k,
                                                    int64_t m,
                                                    bool is_cached) const {
  const Type type = plan_.cube;
  const int64_t k0 = fractal_k(type);
  const int64_t block = std::min(plan_.attention.block_size, keys);
  const int64_t columns = ceil_div(dims, k0);
  const double first = is_cached ? 0 : traffic_.first;
  Packet one;
  one.load = real(keys) / real(block) *
             transfer(real(columns * block * kBeatBytes), columns,
                      real(block * kBeatBytes), first);
  one.latency = profile_.assumptions.l2_latency_cycles +
                first * (profile_.global.read_latency_cycles -
                         profile_.assumptions.l2_latency_cycles);
  const int64_t fractals = std::max<int64_t>(
      1, std::min(profile_.local.l0a_bytes / 2 / fractal_bytes(m, k0, type),
                  profile_.local.l0b_bytes / 2 / fractal_bytes(n, k0, type)));
  one.steps = std::ceil(real(k) / real(fractals * k0));
  one.mte1 = (real(fractal_bytes(m, k, type)) / profile_.local.l1_to_l0a_rate +
              real(fractal_bytes(n, k, type)) / profile_.local.l1_to_l0b_rate) /
                 one.steps +
             profile_.local.load2d_cycles + profile_.local.load3d_cycles;
  one.work = mmad_cycles(profile_, type, m, n, k) / one.steps;
  return one;
}

// copy_in of a packet, then loads to L0 and products.
void AttentionPipeline::run(const Packet& packet, double operand_ready,
                            double slot_free) {
  const auto buffer = static_cast<size_t>(packets_++ % plan_.num_packets);
  // What the loads wait for beside the cache is on the same pipe, behind it.
  mte1_ = std::max({mte1_, packet_free_.at(buffer), operand_ready});
  for (double step = 0; step < packet.steps; ++step) {
    const auto l0 = static_cast<size_t>(steps_++ % kBuffers);
    mte1_ = std::max(mte1_, l0_free_.at(l0)) + packet.mte1;
    const double begin = std::max({cube_, mte1_, slot_free});
    cube_ = begin + packet.work + profile_.cube.issue_cycles;
    cube_done_ = begin + packet.work + profile_.cube.latency_cycles;
    l0_free_.at(l0) = cube_done_;
  }
  packet_free_.at(buffer) = mte1_;
}

// Rows of queries, a run for each token.
void AttentionPipeline::query(const TileOfKeys& tile) {
  const int64_t group = plan_.group();
  const int64_t run = group == 1 ? tile.rows : std::min(group, tile.rows);
  const double row_bytes =
      real(bytes_of_elements(plan_.cube, plan_.attention.qk_dim));
  const double runs = real(ceil_div(tile.rows, run));
  const double each = transfer(real(run) * row_bytes, run, row_bytes, 1);
  mte2_ = std::max(mte2_, query_free_) + runs * each;
  if (runs > kQueue) held_ = std::max(held_, mte2_ - kQueue * each);
  query_ready_ = mte2_ + profile_.global.read_latency_cycles;
}

// Accumulators to GM for the vector cores; when they may read them.
double AttentionPipeline::hand_over(const TileOfKeys& tile, double bytes) {
  const double least = real(tile.rows) / real(plan_.num_lanes) *
                           (bytes / real(tile.rows) / kFloatBytes) /
                           profile_.exit.fixpipe_elements +
                       profile_.exit.fixpipe_cycles;
  const double one =
      std::max(bytes / real(plan_.num_lanes) / write_rate_, least);
  fixpipe_ = std::max(fixpipe_, cube_done_) + real(plan_.num_lanes) * one;
  return fixpipe_ + hop_;
}

void AttentionPipeline::scores(const TileOfKeys& tile) {
  if (tile.is_first) query(tile);
  if (profile_.unified_cores) {
    vector_ = std::max(vector_, piece_free_[0]);
  }
  const int64_t qk_dim = plan_.attention.qk_dim;
  for (int64_t key = 0; key < tile.keys; key += plan_.chunk_keys) {
    const int64_t keys = std::min(plan_.chunk_keys, tile.keys - key);
    double& slot =
        slot_free_.at(static_cast<size_t>(slots_++ % plan_.num_slots));
    for (int64_t dim = 0; dim < qk_dim; dim += plan_.packet_dims()) {
      const int64_t dims = std::min(plan_.packet_dims(), qk_dim - dim);
      const Packet one = packet(keys, dims, keys, dims, tile.rows, false);
      const auto buffer = static_cast<size_t>(packets_ % plan_.num_packets);
      mte2_ = std::max(mte2_, packet_free_.at(buffer)) + one.load;
      packet_free_.at(buffer) = mte2_ + one.latency;
      run(one, query_ready_, slot);
    }
    const double sums = real(tile.rows * keys) * kFloatBytes;
    if (profile_.unified_cores) {
      vector(sums / profile_.exit.l0c_to_ub_rate + profile_.vector.issue_cycles,
             cube_done_);
      slot = vector_done_;
    } else {
      scores_ready_.at(place(tile.index)) = hand_over(tile, sums);
      slot = fixpipe_;
    }
  }
  if (tile.is_last) query_free_ = mte1_;
}

void AttentionPipeline::softmax(const TileOfKeys& tile) {
  const int64_t all = lane_rows(tile.rows);
  const auto weight = static_cast<size_t>(tile.index % kBuffers);
  const double weight_bytes = real(bits_of(plan_.cube)) / 8;
  const bool is_single = plan_.softmax_rows >= plan_.lane_rows_most();
  for (int64_t row = 0; row < all; row += plan_.softmax_rows) {
    const double elements =
        real(std::min(plan_.softmax_rows, all - row) * tile.keys);
    const double cycles = passes(elements, kSoftmaxPasses) +
                          elements / profile_.vector.special_elements +
                          profile_.vector.issue_cycles;
    if (profile_.unified_cores) {
      vector(cycles, 0);
      mte3_ = std::max({mte3_, vector_done_, weight_free_.at(weight)}) +
              elements * weight_bytes / kUbToL1Rate;
      piece_free_[0] = mte3_;
      continue;
    }
    const auto buffer = static_cast<size_t>(is_single ? 0 : pieces_++ % 2);
    vector_mte2_ = std::max({vector_mte2_, piece_free_.at(buffer),
                             scores_ready_.at(place(tile.index))}) +
                   std::max(elements * kFloatBytes / l2_rate_,
                            profile_.global.dma_issue_cycles);
    vector(cycles, vector_mte2_ + profile_.assumptions.l2_latency_cycles);
    mte3_ = std::max(mte3_, vector_done_) +
            std::max(elements * weight_bytes /
                         std::min(profile_.vector.ub_to_gm_rate, write_rate_),
                     profile_.global.dma_issue_cycles);
    piece_free_.at(buffer) = mte3_;
  }
  weights_ready_.at(place(tile.index)) =
      profile_.unified_cores ? mte3_ : mte3_ + hop_;
}

// The weights of a tile in L1, from both vector cores; when they are there.
void AttentionPipeline::weights(const TileOfKeys& tile) {
  if (profile_.unified_cores) return;
  const auto at = place(tile.index);
  const auto buffer = static_cast<size_t>(tile.index % kBuffers);
  const double bytes =
      real(tile.rows * tile.keys) * real(bits_of(plan_.cube)) / 8;
  mte2_ = std::max({mte2_, weights_ready_.at(at), weight_free_.at(buffer)}) +
          std::max(bytes / l2_rate_,
                   real(plan_.num_lanes) * profile_.global.dma_issue_cycles);
  weights_ready_.at(at) = mte2_ + profile_.assumptions.l2_latency_cycles;
}

void AttentionPipeline::values(const TileOfKeys& tile) {
  const int64_t v_dim = plan_.attention.v_dim;
  size_t block = 0;
  for (int64_t column = 0; column < v_dim; column += plan_.value_columns) {
    const int64_t n = std::min(plan_.value_columns, v_dim - column);
    double& slot =
        slot_free_.at(static_cast<size_t>(slots_++ % plan_.num_slots));
    for (int64_t key = 0; key < tile.keys; key += plan_.packet_keys()) {
      const int64_t keys = std::min(plan_.packet_keys(), tile.keys - key);
      // V that lies in K was read with it.
      const Packet one =
          packet(keys, n, n, keys, tile.rows, plan_.attention.v_in_k);
      const auto buffer = static_cast<size_t>(packets_ % plan_.num_packets);
      mte2_ = std::max(mte2_, packet_free_.at(buffer)) + one.load;
      packet_free_.at(buffer) = mte2_ + one.latency;
      if (column == 0 && key == 0) weights(tile);
      run(one, weights_ready_.at(place(tile.index)), slot);
    }
    const double sums = real(tile.rows * n) * kFloatBytes;
    if (profile_.unified_cores) {
      vector(sums / profile_.exit.l0c_to_ub_rate + profile_.vector.issue_cycles,
             cube_done_);
      slot = vector_done_;
      vector(passes(real(tile.rows * n), kUpdatePasses),
             tile.is_first ? result_free_ : 0);
    } else {
      sums_ready_.at(place(tile.index)).at(block++ % kMostBlocks) =
          hand_over(tile, sums);
      slot = fixpipe_;
    }
  }
  weight_free_.at(static_cast<size_t>(tile.index % kBuffers)) = mte1_;
}

void AttentionPipeline::update(const TileOfKeys& tile) {
  const int64_t v_dim = plan_.attention.v_dim;
  const int64_t rows = lane_rows(tile.rows);
  size_t block = 0;
  for (int64_t column = 0; column < v_dim; column += plan_.value_columns) {
    const double elements =
        real(rows * std::min(plan_.value_columns, v_dim - column));
    const double ready =
        sums_ready_.at(place(tile.index)).at(block++ % kMostBlocks);
    vector_mte2_ = std::max({vector_mte2_, incoming_free_, ready}) +
                   std::max(elements * kFloatBytes / l2_rate_,
                            profile_.global.dma_issue_cycles);
    const double there = vector_mte2_ + profile_.assumptions.l2_latency_cycles;
    vector(passes(elements, kUpdatePasses),
           tile.is_first ? std::max(there, result_free_) : there);
    incoming_free_ = vector_done_;
  }
}

// The last division, and the way out.
void AttentionPipeline::result(int64_t rows) {
  const int64_t group = plan_.group();
  const bool is_split = plan_.num_splits > 1;
  const int64_t runs = is_split     ? 3
                       : group == 1 ? 1
                                    : ceil_div(rows, std::min(group, rows));
  const double elements = real(rows * plan_.attention.v_dim);
  const double bytes =
      elements *
      (is_split ? kFloatBytes : real(bits_of(plan_.result_type())) / 8);
  vector(passes(elements, 1), 0);
  mte3_ = std::max(mte3_, vector_done_) +
          std::max(bytes / std::min(profile_.vector.ub_to_gm_rate, write_rate_),
                   real(runs) * profile_.global.dma_issue_cycles);
  result_free_ = mte3_;
  if (real(runs) <= kQueue) return;
  double& held = profile_.unified_cores ? held_ : vector_held_;
  held = std::max(held, mte3_ - kQueue * profile_.global.dma_issue_cycles);
}

// What the scalar unit has not handed over cannot begin.
void AttentionPipeline::hold() {
  mte2_ = std::max(mte2_, held_);
  if (profile_.unified_cores) vector_ = std::max(vector_, held_);
  vector_mte2_ = std::max(vector_mte2_, vector_held_);
}

void AttentionPipeline::ahead(const TileOfKeys& tile) {
  hold();
  scores(tile);
  softmax(tile);
}

void AttentionPipeline::finish(const TileOfKeys& tile) {
  hold();
  values(tile);
  if (!profile_.unified_cores) update(tile);
  if (tile.is_last) result(lane_rows(tile.rows));
}

double AttentionPipeline::end() const {
  return std::max({mte2_, mte1_, cube_done_, fixpipe_, vector_done_, mte3_});
}

void AttentionPipeline::skip(double cycles) {
  for (double* time :
       {&mte2_, &mte1_, &cube_, &cube_done_, &fixpipe_, &query_free_,
        &query_ready_, &vector_mte2_, &vector_, &vector_done_, &mte3_,
        &incoming_free_, &result_free_, &held_, &vector_held_}) {
    *time += cycles;
  }
  const auto add = [&](auto& times) {
    for (double& time : times) time += cycles;
  };
  add(packet_free_);
  add(l0_free_);
  add(slot_free_);
  add(weight_free_);
  add(piece_free_);
  add(scores_ready_);
  add(weights_ready_);
  for (auto& blocks : sums_ready_) add(blocks);
}

}  // namespace tessera::npu
