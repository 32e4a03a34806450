// SPDX-License-Identifier: Apache-2.0
//
// The cube core's side.  Each function names the instructions that it stands
// for.

#include "backends/npu_sim/compiler/attention/pipeline.hpp"

#include <algorithm>
#include <cmath>

#include "backends/npu_sim/compiler/attention/flags.hpp"
#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

double real(int64_t value) { return static_cast<double>(value); }

size_t place(int64_t index) { return static_cast<size_t>(index) % 8; }

// Entries of a queue: flags about a transfer, a step of a product, a tile of
// accumulators.
constexpr double kTransferFlags = 2;
constexpr double kLoadsOfStep = 4;
constexpr double kCubeOfStep = 3;
constexpr double kWhole = 1 - 1e-9;

}  // namespace

AttentionPipeline::AttentionPipeline(const Profile& profile,
                                     const AttentionPlan& plan,
                                     const CacheTraffic& traffic)
    : profile_(profile),
      plan_(plan),
      packet_dims_(plan.packet_dims()),
      packet_keys_(plan.packet_keys()),
      fractal_dims_(fractal_k(plan.cube)),
      cores_(traffic.cores),
      spill_(traffic.spill),
      dram_rate_(profile.dram_rate()),
      dram_time_(profile.global.read_latency_cycles),
      keys_(source_of(traffic.first_keys)),
      values_(source_of(traffic.first_values)) {
  const double factor = profile.assumptions.l2_core_factor;
  l2_rate_ = profile.global.l2_read_rate * factor;
  write_rate_ = profile.global.l2_write_rate * factor;
  hop_ = profile.global.write_latency_cycles +
         profile.assumptions.cross_core_cycles;
}

AttentionPipeline::Source AttentionPipeline::source_of(double first) {
  return {first, first > 0 ? 1 - first : 0};
}

int64_t AttentionPipeline::lane_rows(int64_t rows) const {
  return ceil_div(rows, plan_.num_lanes);
}

// Cores that ask DRAM at the same time share it.  They begin together; later
// each finds it as busy as all of them have kept it.
double AttentionPipeline::dram_cycles(double bytes) const {
  const double elapsed =
      profile_.global.read_latency_cycles + std::max(mte2_, vector_mte2_);
  const double readers = cores_ * std::min(1.0, dram_time_ / elapsed);
  return bytes * std::max(1.0, readers) / dram_rate_;
}

void AttentionPipeline::use_dram(double bytes) {
  dram_time_ += bytes * cores_ / dram_rate_;
}

AttentionPipeline::Lines AttentionPipeline::make_lines(int64_t rows,
                                                       double row_bytes,
                                                       double stride) const {
  const double penalty = row_penalty(
      profile_, row_bytes, static_cast<uint64_t>(stride), 0, rows > 1);
  const double bytes = real(rows) * row_bytes;
  const GlobalMemory& global = profile_.global;
  const double own = global.dram_core_rate > 0
                         ? std::min(global.dram_core_rate, l2_rate_)
                         : l2_rate_;
  const auto at_least = [&](double cycles) {
    return std::max(cycles, global.dma_issue_cycles);
  };
  return {rows,
          row_bytes,
          stride,
          bytes,
          at_least(bytes * penalty / l2_rate_),
          at_least(bytes * penalty / own)};
}

const AttentionPipeline::Lines& AttentionPipeline::lines(int64_t rows,
                                                         double row_bytes,
                                                         double stride) {
  for (const Lines& known : lines_) {
    if (known.rows == rows && known.row_bytes == row_bytes &&
        known.stride == stride) {
      return known;
    }
  }
  Lines& made = lines_.at(num_lines_++ % lines_.size());
  made = make_lines(rows, row_bytes, stride);
  return made;
}

AttentionPipeline::Arrival AttentionPipeline::transfer(int64_t rows,
                                                       double row_bytes,
                                                       double stride,
                                                       bool misses) {
  const Lines& one = lines(rows, row_bytes, stride);
  if (!misses) return {one.hit_cycles, profile_.assumptions.l2_latency_cycles};
  return {std::max(one.miss_cycles, dram_cycles(one.bytes)),
          profile_.global.read_latency_cycles};
}

AttentionPipeline::Arrival AttentionPipeline::cached(int64_t rows,
                                                     double row_bytes,
                                                     double stride,
                                                     double fresh,
                                                     Source& source) {
  source.owed += source.first * fresh;
  const bool misses = source.owed >= kWhole;
  if (misses) source.owed -= 1;
  return transfer(rows, row_bytes, stride, misses);
}

// copy_in of `dims` columns of `keys` keys, one transfer for each block of the
// cache; a widened tile is one.
void AttentionPipeline::read_packet(const TileOfKeys& tile, CachePart part,
                                    int64_t keys, int64_t dims) {
  const int64_t columns = ceil_div(dims, fractal_dims_);
  mte2_ = std::max({mte2_, packet_free_.at(packet_), scalar_.held});
  Source& source = part == CachePart::kKeys ? keys_ : values_;
  const int64_t block = plan_.attention.block_size;
  const int64_t piece = reads_workspace() ? keys : std::min(block, keys);
  const double count = real(keys) / real(piece);
  const double stride =
      real(reads_workspace() ? tile.keys : block) * kBeatBytes;
  const double row_bytes = real(piece) * kBeatBytes;
  // What vector cores have just widened is in L2.
  const Arrival one =
      plan_.widening == Widening::kAhead
          ? transfer(columns, row_bytes, stride, false)
          : cached(columns, row_bytes, stride, tile.fresh, source);
  if (one.latency > profile_.assumptions.l2_latency_cycles) {
    use_dram(count * real(columns) * row_bytes);
  }
  mte2_ += count * one.cycles;
  scalar_.issue(Scalar::kMte2, count + kTransferFlags, one.cycles, mte2_);
  mte2_done_ = std::max(mte2_done_, mte2_ + one.latency);
  packet_free_.at(packet_) = mte2_ + one.latency;
}

AttentionPipeline::Step AttentionPipeline::step(int64_t m, int64_t n,
                                                int64_t k) const {
  const Type type = plan_.cube;
  const LocalMemories& local = profile_.local;
  return {real(fractal_bytes(m, k, type)) / local.l1_to_l0a_rate +
              real(fractal_bytes(n, k, type)) / local.l1_to_l0b_rate +
              local.load2d_cycles + local.load3d_cycles,
          mmad_cycles(profile_, type, m, n, k)};
}

AttentionPipeline::Product AttentionPipeline::make_product(int64_t m, int64_t n,
                                                           int64_t k) const {
  const Type type = plan_.cube;
  const int64_t k0 = fractal_k(type);
  const LocalMemories& local = profile_.local;
  const int64_t step_k =
      k0 * std::max<int64_t>(
               1, std::min(local.l0a_bytes / 2 / fractal_bytes(m, k0, type),
                           local.l0b_bytes / 2 / fractal_bytes(n, k0, type)));
  Product one{m, n, k, 1, {}, {}};
  one.steps = ceil_div(k, step_k);
  one.last = step(m, n, k - (one.steps - 1) * step_k);
  if (one.steps > 1) one.each = step(m, n, step_k);
  return one;
}

const AttentionPipeline::Product& AttentionPipeline::product(int64_t m,
                                                             int64_t n,
                                                             int64_t k) {
  for (const Product& known : products_) {
    if (known.m == m && known.n == n && known.k == k) return known;
  }
  Product& made = products_.at(num_products_++ % products_.size());
  made = make_product(m, n, k);
  return made;
}

// Loads to L0 and products.
void AttentionPipeline::run(const Product& product, double operand_ready,
                            double slot_free) {
  mte1_ = std::max({mte1_, operand_ready, scalar_.held});
  for (int64_t i = 1; i <= product.steps; ++i) {
    const Step& one = i == product.steps ? product.last : product.each;
    const auto l0 = static_cast<size_t>(steps_++ % kBuffers);
    mte1_ = std::max(mte1_, l0_free_.at(l0)) + one.mte1;
    const double begin = std::max({cube_, mte1_, slot_free});
    cube_ = begin + one.work + profile_.cube.issue_cycles;
    cube_done_ = begin + one.work + profile_.cube.latency_cycles;
    l0_free_.at(l0) = cube_done_;
  }
  const double steps = real(product.steps);
  scalar_.issue(Scalar::kMte1, kLoadsOfStep * steps + kTransferFlags,
                product.last.mte1 / kLoadsOfStep, mte1_);
  scalar_.issue(Scalar::kCube, kCubeOfStep * steps,
                product.last.work / kCubeOfStep, cube_);
}

void AttentionPipeline::run_packet(const Product& product, double operand_ready,
                                   double slot_free) {
  double& packet = packet_free_.at(packet_);
  run(product, std::max(packet, operand_ready), slot_free);
  packet = mte1_;
  if (++packet_ == static_cast<size_t>(plan_.num_packets)) packet_ = 0;
}

// Rows of queries, a run for each token.
void AttentionPipeline::query(const TileOfKeys& tile) {
  const int64_t group = plan_.group();
  const int64_t run = group == 1 ? tile.rows : std::min(group, tile.rows);
  const double row_bytes =
      real(bytes_of_elements(plan_.cube, plan_.attention.qk_dim));
  const double stride =
      group == 1 ? row_bytes * real(plan_.attention.num_q_heads) : row_bytes;
  const double runs = real(ceil_div(tile.rows, run));
  // Codes have just been written.
  const Arrival each = transfer(run, row_bytes, stride, !plan_.is_integer());
  if (!plan_.is_integer()) use_dram(real(tile.rows) * row_bytes);
  mte2_ = std::max({mte2_, query_free_, scalar_.held}) + runs * each.cycles;
  scalar_.issue(Scalar::kMte2, runs + kTransferFlags, each.cycles, mte2_);
  query_ready_ = mte2_ + each.latency;
}

// Accumulators to GM for the vector cores; when they may read them.
double AttentionPipeline::hand_over(const TileOfKeys& tile, int64_t n,
                                    int64_t stride) {
  const int64_t lanes = std::min(plan_.num_lanes, tile.rows);
  const double rows = real(tile.rows) / real(lanes);
  const double row_bytes = real(n) * kFloatBytes;
  const double penalty =
      write_penalty(profile_, row_bytes,
                    static_cast<uint64_t>(stride * kFloatBytes), 0, rows > 1);
  const double least = rows * real(n) / profile_.exit.fixpipe_elements +
                       profile_.exit.fixpipe_cycles;
  const double one = std::max(rows * row_bytes * penalty / write_rate_, least);
  fixpipe_ = std::max({fixpipe_, cube_done_, scalar_.held}) + real(lanes) * one;
  scalar_.issue(Scalar::kFixpipe, real(lanes) + kTransferFlags, one, fixpipe_);
  return fixpipe_ + hop_;
}

double AttentionPipeline::drain_cycles(int64_t elements) const {
  return real(elements) * kFloatBytes / profile_.exit.l0c_to_ub_rate +
         profile_.vector.issue_cycles;
}

void AttentionPipeline::scores(const TileOfKeys& tile, bool is_maximum) {
  if (tile.is_first) query(tile);
  const auto at = place(tile.index);
  double& wide = wide_ready_[0].at(at);
  if (reads_workspace()) mte2_ = std::max(mte2_, wide);
  if (is_maximum) {
    fixpipe_ = std::max(
        fixpipe_, scores_free_.at(place(tile.index + 8 - plan_.num_places())));
  } else if (plan_.is_unified) {
    vector_ = std::max(vector_, piece_free_[0]);
  }
  const int64_t qk_dim = plan_.attention.qk_dim;
  for (int64_t key = 0; key < tile.keys; key += plan_.chunk_keys) {
    const int64_t keys = std::min(plan_.chunk_keys, tile.keys - key);
    double& slot = next_slot();
    if (plan_.keeps_cache()) {
      run(product(tile.rows, keys, qk_dim), std::max(query_ready_, wide), slot);
    }
    for (int64_t dim = plan_.keeps_cache() ? qk_dim : 0; dim < qk_dim;
         dim += packet_dims_) {
      const int64_t dims = std::min(packet_dims_, qk_dim - dim);
      read_packet(tile, CachePart::kKeys, keys, dims);
      run_packet(product(tile.rows, keys, dims), query_ready_, slot);
    }
    if (plan_.is_unified) {
      vector(1, drain_cycles(tile.rows * keys), cube_done_);
      slot = vector_done_;
    } else {
      scores_ready_.at(at) = hand_over(tile, keys, tile.keys);
      slot = fixpipe_;
    }
  }
  if (!plan_.attention.v_in_k) free_wide(tile, CachePart::kKeys);
  if (tile.is_last) query_free_ = mte1_;
}

// The tile as f16 is no longer needed.
void AttentionPipeline::free_wide(const TileOfKeys& tile, CachePart part) {
  const auto place_of = static_cast<size_t>(tile.index % places(part));
  wide_free_.at(part == CachePart::kKeys ? 0 : 1).at(place_of) =
      plan_.is_unified ? mte1_
                       : std::max(mte2_, mte2_done_) +
                             profile_.assumptions.cross_core_cycles;
}

// The weights of a tile in L1, from both vector cores; when they are there.
void AttentionPipeline::weights(const TileOfKeys& tile) {
  if (plan_.is_unified) return;
  const auto at = place(tile.index);
  const auto buffer = static_cast<size_t>(tile.index % kBuffers);
  const int64_t lanes = std::min(plan_.num_lanes, tile.rows);
  const double row_bytes = real(tile.keys * bits_of(plan_.cube)) / 8;
  const Arrival one =
      transfer(ceil_div(tile.rows, lanes), row_bytes, row_bytes, false);
  mte2_ = std::max({mte2_, weights_ready_.at(at), weight_free_.at(buffer),
                    scalar_.held}) +
          real(lanes) * one.cycles;
  scalar_.issue(Scalar::kMte2, 2 * real(lanes) + kTransferFlags, one.cycles,
                mte2_);
  weights_ready_.at(at) = mte2_ + one.latency;
}

// Columns [column, column + n) of V.
void AttentionPipeline::value_block(const TileOfKeys& tile, int64_t column,
                                    int64_t n) {
  const auto at = place(tile.index);
  const CachePart part =
      plan_.attention.v_in_k ? CachePart::kKeys : CachePart::kValues;
  double& slot = next_slot();
  if (plan_.keeps_cache()) {
    const double wide = wide_ready_.at(part == CachePart::kKeys ? 0 : 1).at(at);
    run(product(tile.rows, n, tile.keys), std::max(wide, weights_ready_.at(at)),
        slot);
    return;
  }
  for (int64_t key = 0; key < tile.keys; key += packet_keys_) {
    const int64_t count = std::min(packet_keys_, tile.keys - key);
    read_packet(tile, CachePart::kValues, count, n);
    if (column == 0 && key == 0) weights(tile);
    run_packet(product(tile.rows, n, count), weights_ready_.at(at), slot);
  }
}

void AttentionPipeline::values(const TileOfKeys& tile) {
  const int64_t v_dim = plan_.attention.v_dim;
  const auto at = place(tile.index);
  const bool in_keys = plan_.attention.v_in_k;
  if (reads_workspace() && !in_keys) {
    mte2_ = std::max(mte2_, wide_ready_[1].at(at));
  }
  size_t block = 0;
  for (int64_t column = 0; column < v_dim; column += plan_.value_columns) {
    const int64_t n = std::min(plan_.value_columns, v_dim - column);
    value_block(tile, column, n);
    double& slot = slot_free_.at(last_slot_);
    if (plan_.is_unified) {
      vector(1, drain_cycles(tile.rows * n), cube_done_);
      slot = vector_done_;
      rescale(tile, tile.rows * n, 0);
    } else {
      sums_ready_.at(at).at(block++ % kMostBlocks) = hand_over(tile, n, v_dim);
      slot = fixpipe_;
    }
  }
  free_wide(tile, in_keys ? CachePart::kKeys : CachePart::kValues);
  weight_free_.at(static_cast<size_t>(tile.index % kBuffers)) = mte1_;
}

void AttentionPipeline::ahead(const TileOfKeys& tile) {
  scores(tile, false);
  softmax(tile);
}

void AttentionPipeline::maximum(const TileOfKeys& tile) {
  scores(tile, true);
  row_maxima(tile);
}

void AttentionPipeline::finish(const TileOfKeys& tile) {
  values(tile);
  if (!plan_.is_unified) update(tile);
  if (tile.is_last) result(lane_rows(tile.rows));
}

double AttentionPipeline::end() const {
  return std::max({mte2_, mte1_, cube_done_, fixpipe_, vector_done_, mte3_});
}

void AttentionPipeline::meet() {
  const double all = end() + hop_;
  for (double* time :
       {&mte2_, &mte1_, &cube_, &fixpipe_, &vector_mte2_, &vector_, &mte3_}) {
    *time = all;
  }
  wide_free_ = {};
  scores_free_ = {};
}

void AttentionPipeline::skip(double cycles) {
  dram_time_ += dram_time_ * cycles / std::max(1.0, end());
  for (double* time :
       {&mte2_, &mte2_done_, &mte1_, &cube_, &cube_done_, &fixpipe_,
        &query_free_, &query_ready_, &vector_mte2_, &vector_, &vector_done_,
        &mte3_, &incoming_free_, &result_free_}) {
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
  add(widening_free_);
  add(scores_ready_);
  add(scores_free_);
  add(weights_ready_);
  const auto used =
      std::min(kMostBlocks, static_cast<size_t>(plan_.num_value_tiles()));
  for (auto& blocks : sums_ready_) {
    for (size_t i = 0; i < used; ++i) blocks.at(i) += cycles;
  }
  for (auto& part : wide_ready_) add(part);
  for (auto& part : wide_free_) add(part);
  scalar_.skip(cycles);
  vector_scalar_.skip(cycles);
}

}  // namespace tessera::npu
