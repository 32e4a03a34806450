// SPDX-License-Identifier: Apache-2.0
//
// Places in L1, L0C, UB and GM, and the flags that guard them.

#include "backends/npu_sim/compiler/attention_emitter.hpp"

#include <algorithm>

#include "backends/npu_sim/compiler/attention_lowering.hpp"
#include "backends/npu_sim/compiler/gemm_layout.hpp"
#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kFractalRows = 16;
constexpr int64_t kBuffers = 2;
constexpr int64_t kFloatBytes = 4;
// Flags of L1: two of each from the first.
constexpr int64_t kKeyFlag = 0;
constexpr int64_t kValueFlag = 2;
constexpr int64_t kWeightFlag = 4;
constexpr int64_t kQueryFlag = 6;
// Flags of L0C and between the cores.
constexpr int64_t kSumFlag = 2;
constexpr int64_t kScoreFlag = 0;

}  // namespace

AttentionEmitter::AttentionEmitter(const Profile& profile,
                                   const AttentionPlan& plan, Emitter& out)
    : profile_(profile), plan_(plan), out_(out) {
  const Attention& attention = plan_.attention;
  const int64_t rows = plan_.tile_rows;
  query_bytes_ = fractal_bytes(rows, attention.qk_dim, plan_.cube);
  key_bytes_ = fractal_bytes(plan_.tile_keys, attention.qk_dim, plan_.cube);
  value_bytes_ = attention.v_in_k ? 0
                                  : fractal_bytes(attention.v_dim,
                                                  plan_.tile_keys, plan_.cube);
  weight_bytes_ = fractal_bytes(rows, plan_.tile_keys, plan_.cube);
  score_bytes_ = rows * plan_.tile_keys * kFloatBytes;
}

int64_t AttentionEmitter::key_place(int64_t index) const {
  return query_bytes_ + index % kBuffers * key_bytes_;
}

int64_t AttentionEmitter::value_place(int64_t index) const {
  return plan_.attention.v_in_k ? key_place(index)
                                : query_bytes_ + kBuffers * key_bytes_ +
                                      index % kBuffers * value_bytes_;
}

int64_t AttentionEmitter::weight_place(int64_t index) const {
  return query_bytes_ + kBuffers * (key_bytes_ + value_bytes_) +
         index % kBuffers * weight_bytes_;
}

int64_t AttentionEmitter::sum_place(int64_t slot) const {
  return plan_.score_slots * score_bytes_ +
         slot * plan_.tile_rows * round_up(plan_.value_columns, kFractalRows) *
             kFloatBytes;
}

void AttentionEmitter::primes(bool has_cube, bool has_vector) {
  if (has_cube) {
    for (int64_t b = 0; b < kBuffers; ++b) {
      for (const int64_t flag : {kKeyFlag, kValueFlag, kWeightFlag}) {
        out_.set(
            Pipe::kMte1,
            is_unified() && flag == kWeightFlag ? Pipe::kMte3 : Pipe::kMte2,
            flag + b);
      }
      out_.set(Pipe::kCube, Pipe::kMte1, b);
    }
    out_.set(Pipe::kMte1, Pipe::kMte2, kQueryFlag);
    for (int64_t slot = 0; slot < plan_.score_slots; ++slot) {
      out_.set(exit(), Pipe::kCube, kScoreFlag + slot);
    }
    for (int64_t slot = 0; slot < plan_.sum_slots; ++slot) {
      out_.set(exit(), Pipe::kCube, kSumFlag + slot);
    }
  }
  if (has_vector) {
    out_.set(Pipe::kMte3, Pipe::kVector, 0);
    if (!is_unified()) {
      out_.set(Pipe::kVector, Pipe::kMte2, 8);
      out_.set(Pipe::kVector, Pipe::kMte2, 9);
    }
  }
}

int64_t AttentionEmitter::lane_rows(const KeyTile& tile,
                                    int64_t sibling) const {
  if (is_unified()) return tile.work->rows;
  const int64_t half = ceil_div(tile.work->rows, 2);
  return sibling == 1 ? half : tile.work->rows - half;
}

// A place in GM for what cube and vector cores exchange: of tile parity.
Rectangle AttentionEmitter::between(int64_t place, int64_t row, int64_t rows,
                                    int64_t row_bytes) const {
  const int64_t area = plan_.tile_rows *
                       std::max(plan_.tile_keys, plan_.attention.v_dim) *
                       kFloatBytes;
  return {gm_address(Tensor::kAccumulators,
                     place * round_up(area, 512) + row * row_bytes),
          rows, row_bytes, row_bytes};
}

// One transfer for each block of the cache that the tile touches.
void AttentionEmitter::load_cache(const KeyTile& tile, Tensor tensor,
                                  int64_t dim, int64_t dst) {
  const Attention& attention = plan_.attention;
  const int64_t row_bytes = bytes_of_elements(plan_.cube, dim);
  int64_t most = 0;
  for (const int64_t length : attention.seq_lens) most = std::max(most, length);
  const int64_t rows = round_up(most, attention.block_size);
  const int64_t sequence =
      (tile.work->sequence * attention.num_kv_heads + tile.work->kv_head) *
      rows;
  int64_t at = tile.begin;
  const int64_t end = tile.begin + tile.keys;
  while (at < end) {
    const int64_t block_end =
        (at / attention.block_size + 1) * attention.block_size;
    const int64_t count = std::min(end, block_end) - at;
    Instruction& copy =
        out_.copy_in(Space::kL1, dst + (at - tile.begin) * 32,
                     {gm_address(tensor, (sequence + at) * row_bytes), 1,
                      count * row_bytes, count * row_bytes});
    copy.type = plan_.cube;
    at += count;
  }
}

// L0C = A . B from L1, k in steps that fit half of L0.
void AttentionEmitter::product(const ProductPlace& place, int64_t m, int64_t n,
                               int64_t k, int64_t& steps) {
  const Type type = plan_.cube;
  const int64_t k0 = fractal_k(type);
  const int64_t a_fractal = fractal_bytes(m, k0, type);
  const int64_t b_fractal = fractal_bytes(n, k0, type);
  const int64_t fractals = std::max<int64_t>(
      1, std::min(profile_.local.l0a_bytes / kBuffers / a_fractal,
                  profile_.local.l0b_bytes / kBuffers / b_fractal));
  const int64_t step_k = fractals * k0;
  for (int64_t at = 0; at < k; at += step_k, ++steps) {
    const int64_t count = std::min(step_k, k - at);
    const int64_t l0 = steps % kBuffers;
    out_.wait(Pipe::kCube, Pipe::kMte1, l0);
    Instruction& a = out_.load_a(l0 * profile_.local.l0a_bytes / kBuffers,
                                 place.a_l1 + at / k0 * a_fractal, m, count);
    a.type = type;
    Instruction& b = out_.load_b(l0 * profile_.local.l0b_bytes / kBuffers,
                                 place.b_l1 + at / k0 * b_fractal, n, count);
    b.type = type;
    b.rearranging = true;
    out_.set(Pipe::kMte1, Pipe::kCube, l0);
    out_.wait(Pipe::kMte1, Pipe::kCube, l0);
    Instruction& mmad = out_.mmad(place.l0c, m, n, count);
    mmad.type = type;
    mmad.src = static_cast<uint64_t>(l0 * profile_.local.l0a_bytes / kBuffers);
    mmad.src2 = static_cast<uint64_t>(l0 * profile_.local.l0b_bytes / kBuffers);
    mmad.accumulate = at > 0;
    out_.set(Pipe::kCube, Pipe::kMte1, l0);
  }
}

void AttentionEmitter::query(const KeyTile& tile) {
  const int64_t row_bytes =
      bytes_of_elements(plan_.cube, plan_.attention.qk_dim);
  out_.wait(Pipe::kMte1, Pipe::kMte2, kQueryFlag);
  Instruction& copy = out_.copy_in(
      Space::kL1, query_place(),
      {gm_address(Tensor::kInput, (tile.work->row + tile.work->kv_head * 4096 +
                                   tile.work->sequence * 65536) *
                                      row_bytes),
       tile.work->rows, row_bytes, row_bytes});
  copy.nd_to_nz = true;
  copy.type = plan_.cube;
  out_.set(Pipe::kMte2, Pipe::kMte1, kQueryFlag);
  out_.wait(Pipe::kMte2, Pipe::kMte1, kQueryFlag);
}

void AttentionEmitter::hand_over_scores(const KeyTile& tile) {
  const int64_t slot = score_slot(tile);
  out_.wait(Pipe::kCube, Pipe::kFixpipe, kScoreFlag + slot);
  int64_t row = 0;
  for (int64_t sibling = 1; sibling <= 2; ++sibling) {
    const int64_t rows = lane_rows(tile, sibling);
    if (rows > 0) {
      Instruction& fixpipe =
          out_.fixpipe(slot * score_bytes_, rows, tile.keys,
                       between(tile.core * 6 + tile.index % kBuffers, row, rows,
                               tile.keys * kFloatBytes));
      fixpipe.type = Type::kF32;
    }
    out_.set_sibling(Pipe::kFixpipe, Pipe::kMte2, kScoreFlag, sibling);
    row += rows;
  }
  out_.set(Pipe::kFixpipe, Pipe::kCube, kScoreFlag + slot);
}

void AttentionEmitter::scores(const KeyTile& tile, int64_t& steps) {
  const Attention& attention = plan_.attention;
  const int64_t buffer = tile.index % kBuffers;
  if (tile.is_first) query(tile);
  out_.wait(Pipe::kMte1, Pipe::kMte2, kKeyFlag + buffer);
  load_cache(tile, plan_.widens_cache ? Tensor::kWideWeight : Tensor::kWeight,
             attention.qk_dim, key_place(tile.index));
  out_.set(Pipe::kMte2, Pipe::kMte1, kKeyFlag + buffer);
  out_.wait(Pipe::kMte2, Pipe::kMte1, kKeyFlag + buffer);

  const int64_t slot = score_slot(tile);
  out_.wait(exit(), Pipe::kCube, kScoreFlag + slot);
  product({query_place(), key_place(tile.index), slot * score_bytes_},
          tile.work->rows, tile.keys, attention.qk_dim, steps);
  out_.set(Pipe::kCube, exit(), kScoreFlag + slot);
  if (!attention.v_in_k) {
    out_.set(Pipe::kMte1, Pipe::kMte2, kKeyFlag + buffer);
  }
  if (tile.is_last) out_.set(Pipe::kMte1, Pipe::kMte2, kQueryFlag);
  if (!is_unified()) hand_over_scores(tile);
}

void AttentionEmitter::take_scores(const KeyTile& tile, int64_t row,
                                   int64_t rows) {
  if (is_unified()) {
    const int64_t slot = score_slot(tile);
    out_.wait(Pipe::kCube, Pipe::kVector, kScoreFlag + slot);
    out_.drain(0, slot * score_bytes_, rows, tile.keys);
    out_.set(Pipe::kVector, Pipe::kCube, kScoreFlag + slot);
    return;
  }
  out_.wait(Pipe::kVector, Pipe::kMte2, 8);
  out_.wait_sibling(Pipe::kFixpipe, Pipe::kMte2, kScoreFlag, 0);
  if (rows > 0) {
    out_.copy_in(Space::kUb, 0,
                 between(tile.core * 6 + tile.index % kBuffers, row, rows,
                         tile.keys * kFloatBytes));
  }
  out_.set(Pipe::kMte2, Pipe::kVector, 8);
  out_.wait(Pipe::kMte2, Pipe::kVector, 8);
}

void AttentionEmitter::give_weights(const KeyTile& tile, int64_t row,
                                    int64_t rows) {
  const int64_t buffer = tile.index % kBuffers;
  const int64_t row_bytes = bytes_of_elements(plan_.cube, tile.keys);
  out_.wait(Pipe::kVector, Pipe::kMte3, 0);
  if (is_unified()) {
    out_.wait(Pipe::kMte1, Pipe::kMte3, kWeightFlag + buffer);
    Instruction& copy =
        out_.copy_out(0, {static_cast<uint64_t>(weight_place(tile.index)), rows,
                          row_bytes, row_bytes});
    copy.dst_space = Space::kL1;
    out_.set(Pipe::kMte3, Pipe::kMte1, kWeightFlag + buffer);
  } else {
    if (rows > 0) {
      out_.copy_out(0,
                    between(tile.core * 6 + 2 + buffer, row, rows, row_bytes));
    }
    out_.set_sibling(Pipe::kMte3, Pipe::kMte2, kWeightFlag, 0);
  }
  out_.set(Pipe::kMte3, Pipe::kVector, 0);
}

void AttentionEmitter::softmax(const KeyTile& tile, int64_t sibling) {
  const int64_t rows = lane_rows(tile, sibling);
  const int64_t elements = rows * tile.keys;
  const int64_t row = sibling == 2 ? tile.work->rows - rows : 0;
  take_scores(tile, row, rows);
  out_.wait(Pipe::kMte3, Pipe::kVector, 0);
  if (rows > 0) {
    vector_passes(0, elements, kSoftmaxPasses);
    out_.vector(0, elements, profile_.vector.special_elements).type =
        Type::kF32;
  }
  out_.set(Pipe::kVector, Pipe::kMte3, 0);
  if (!is_unified()) out_.set(Pipe::kVector, Pipe::kMte2, 8);
  give_weights(tile, row, rows);
}

// Brings the weights of the tile to L1, from both vector cores.
void AttentionEmitter::load_weights(const KeyTile& tile) {
  const int64_t buffer = tile.index % kBuffers;
  if (is_unified()) {
    out_.wait(Pipe::kMte3, Pipe::kMte1, kWeightFlag + buffer);
    return;
  }
  out_.wait(Pipe::kMte1, Pipe::kMte2, kWeightFlag + buffer);
  int64_t row = 0;
  for (int64_t sibling = 1; sibling <= 2; ++sibling) {
    out_.wait_sibling(Pipe::kMte3, Pipe::kMte2, kWeightFlag, sibling);
    const int64_t rows = lane_rows(tile, sibling);
    const int64_t row_bytes = bytes_of_elements(plan_.cube, tile.keys);
    if (rows > 0) {
      out_.copy_in(Space::kL1, weight_place(tile.index) + row * 32,
                   between(tile.core * 6 + 2 + buffer, row, rows, row_bytes));
    }
    row += rows;
  }
  out_.set(Pipe::kMte2, Pipe::kMte1, kWeightFlag + buffer);
  out_.wait(Pipe::kMte2, Pipe::kMte1, kWeightFlag + buffer);
}

// Columns [column, column + n) of the tile's sums to GM.
void AttentionEmitter::hand_over_sums(const KeyTile& tile, int64_t column,
                                      int64_t n, int64_t slot) {
  const int64_t buffer = tile.index % kBuffers;
  const int64_t place =
      plan_.sums_in_gm ? tile.core * 6 + 4 : tile.core * 6 + 4 + buffer;
  out_.wait(Pipe::kCube, Pipe::kFixpipe, kSumFlag + slot);
  int64_t row = 0;
  for (int64_t sibling = 1; sibling <= 2; ++sibling) {
    const int64_t rows = lane_rows(tile, sibling);
    if (rows > 0) {
      Rectangle target =
          between(place, row, rows, plan_.attention.v_dim * kFloatBytes);
      target.address += static_cast<uint64_t>(column * kFloatBytes);
      target.row_bytes = n * kFloatBytes;
      Instruction& fixpipe = out_.fixpipe(sum_place(slot), rows, n, target);
      fixpipe.type = Type::kF32;
      fixpipe.accumulate = plan_.sums_in_gm;
    }
    if (!plan_.sums_in_gm || tile.is_last) {
      out_.set_sibling(Pipe::kFixpipe, Pipe::kMte2, kSumFlag, sibling);
    }
    row += rows;
  }
  out_.set(Pipe::kFixpipe, Pipe::kCube, kSumFlag + slot);
}

void AttentionEmitter::values(const KeyTile& tile, int64_t& steps) {
  const Attention& attention = plan_.attention;
  const int64_t buffer = tile.index % kBuffers;
  if (!attention.v_in_k) {
    out_.wait(Pipe::kMte1, Pipe::kMte2, kValueFlag + buffer);
    load_cache(tile, plan_.widens_cache ? Tensor::kCodes : Tensor::kOther,
               attention.v_dim, value_place(tile.index));
    out_.set(Pipe::kMte2, Pipe::kMte1, kValueFlag + buffer);
    out_.wait(Pipe::kMte2, Pipe::kMte1, kValueFlag + buffer);
  }
  load_weights(tile);
  int64_t count = tile.index * plan_.num_value_tiles();
  for (int64_t column = 0; column < attention.v_dim;
       column += plan_.value_columns, ++count) {
    const int64_t n = std::min(plan_.value_columns, attention.v_dim - column);
    const int64_t slot = count % plan_.sum_slots;
    out_.wait(exit(), Pipe::kCube, kSumFlag + slot);
    product(
        {weight_place(tile.index), value_place(tile.index), sum_place(slot)},
        tile.work->rows, n, tile.keys, steps);
    out_.set(Pipe::kCube, exit(), kSumFlag + slot);
    if (is_unified()) {
      drain_sums(tile, n, slot);
    } else {
      hand_over_sums(tile, column, n, slot);
    }
  }
  out_.set(Pipe::kMte1, is_unified() ? Pipe::kMte3 : Pipe::kMte2,
           kWeightFlag + buffer);
  out_.set(Pipe::kMte1, Pipe::kMte2,
           (attention.v_in_k ? kKeyFlag : kValueFlag) + buffer);
}

void AttentionEmitter::vector_passes(int64_t at, int64_t elements,
                                     int64_t count) {
  const double rate = profile_.vector.bytes_per_cycle / kFloatBytes;
  for (int64_t i = 0; i < count; ++i) {
    out_.vector(at, elements, rate).type = Type::kF32;
  }
}

int64_t AttentionEmitter::sums_ub() const {
  return round_up(plan_.lane_rows_most() * plan_.tile_keys * (kFloatBytes + 2),
                  32);
}

int64_t AttentionEmitter::incoming_ub() const {
  return plan_.sums_in_gm
             ? sums_ub()
             : round_up(sums_ub() + plan_.lane_rows_most() *
                                        plan_.attention.v_dim * kFloatBytes,
                        32);
}

void AttentionEmitter::drain_sums(const KeyTile& tile, int64_t n,
                                  int64_t slot) {
  const int64_t rows = tile.work->rows;
  out_.wait(Pipe::kCube, Pipe::kVector, kSumFlag + slot);
  out_.drain(incoming_ub(), sum_place(slot), rows, n);
  out_.set(Pipe::kVector, Pipe::kCube, kSumFlag + slot);
  vector_passes(incoming_ub(), rows * n, kUpdatePasses);
}

// What the cube core handed over, a few columns at a time.
void AttentionEmitter::update(const KeyTile& tile, int64_t sibling) {
  const int64_t v_dim = plan_.attention.v_dim;
  const int64_t rows = lane_rows(tile, sibling);
  const int64_t row = sibling == 2 ? tile.work->rows - rows : 0;
  const bool reads = !plan_.sums_in_gm || tile.is_last;
  const int64_t place = plan_.sums_in_gm
                            ? tile.core * 6 + 4
                            : tile.core * 6 + 4 + tile.index % kBuffers;
  for (int64_t column = 0; reads && column < v_dim;
       column += plan_.value_columns) {
    const int64_t n = std::min(plan_.value_columns, v_dim - column);
    out_.wait(Pipe::kVector, Pipe::kMte2, 9);
    out_.wait_sibling(Pipe::kFixpipe, Pipe::kMte2, kSumFlag, 0);
    if (rows > 0) {
      Rectangle source = between(place, row, rows, v_dim * kFloatBytes);
      source.address += static_cast<uint64_t>(column * kFloatBytes);
      source.row_bytes = n * kFloatBytes;
      out_.copy_in(Space::kUb, incoming_ub(), source);
    }
    out_.set(Pipe::kMte2, Pipe::kVector, 9);
    out_.wait(Pipe::kMte2, Pipe::kVector, 9);
    if (rows > 0) vector_passes(incoming_ub(), rows * n, kUpdatePasses);
    if (tile.is_last && plan_.sums_in_gm) {
      write_result(tile, row, rows, column, n);
    }
    out_.set(Pipe::kVector, Pipe::kMte2, 9);
  }
  if (tile.is_last && !plan_.sums_in_gm) {
    write_result(tile, row, rows, 0, v_dim);
  }
}

// The last division, and the result on its way.
void AttentionEmitter::write_result(const KeyTile& tile, int64_t row,
                                    int64_t rows, int64_t column, int64_t n) {
  if (rows == 0) return;
  const Attention& attention = plan_.attention;
  const bool is_split = plan_.num_splits > 1;
  const int64_t element = is_split ? 4 : 2;
  const int64_t stride = attention.v_dim * element;
  const int64_t ub = plan_.sums_in_gm ? incoming_ub() : sums_ub();
  out_.wait(Pipe::kMte3, Pipe::kVector, 0);
  vector_passes(ub, rows * n, 1);
  out_.set(Pipe::kVector, Pipe::kMte3, 0);
  out_.wait(Pipe::kVector, Pipe::kMte3, 0);
  const int64_t head =
      tile.work->sequence * attention.num_kv_heads + tile.work->kv_head;
  out_.copy_out(
      ub, {gm_address(is_split ? Tensor::kPartials : Tensor::kOutput,
                      (head * 65536 + tile.work->split * 4096 + tile.work->row +
                       row) * stride +
                          column * element),
           rows, n * element, stride});
  out_.set(Pipe::kMte3, Pipe::kVector, 0);
}

}  // namespace tessera::npu
