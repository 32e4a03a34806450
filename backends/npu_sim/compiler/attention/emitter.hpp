// SPDX-License-Identifier: Apache-2.0
//
// The instructions of one tile of keys: scores, softmax, values, sums.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/compiler/attention/plan.hpp"
#include "backends/npu_sim/compiler/emitter.hpp"

namespace tessera::npu {

// One tile of keys of one work.
struct KeyTile {
  const AttentionWork* work = nullptr;
  int64_t core = 0;
  int64_t order = 0;  // of the work, on this core
  int64_t index = 0;  // of the tile, on this core
  int64_t begin = 0;  // first key
  int64_t keys = 0;
  bool is_first = false;
  bool is_last = false;
};

// A product of the cube: where its operands lie, and what it adds to.
struct Product {
  int64_t a_l1 = 0;
  int64_t b_l1 = 0;
  int64_t l0c = 0;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  bool accumulate = false;
  bool b_transposed =
      false;            // n lies in blocks of 32 bytes, each with all of k
  int64_t b_pitch = 0;  // bytes between the blocks
};

// Rows of a work that lie evenly in the tensors of the step.
struct RowRun {
  int64_t row = 0;  // of the stacked rows
  int64_t rows = 0;
  int64_t place = 0;  // of the first: token * query heads + head
  int64_t stride = 1;
};
std::vector<RowRun> row_runs(const AttentionPlan& plan,
                             const AttentionWork& work, int64_t first,
                             int64_t rows);

// A part of a tile of the cache: keys of the tile, columns of a head.
struct Packet {
  int64_t key = 0;
  int64_t keys = 0;
  int64_t dim = 0;
  int64_t dims = 0;
};

// Emits one section of one core.  Buffers are all free between sections, so
// each section counts its own trips through them.
class AttentionEmitter {
 public:
  AttentionEmitter(const Profile& profile, const AttentionPlan& plan,
                   Emitter& out);

  void primes(bool has_cube, bool has_vector);
  // The cube core's part.
  void scores(const KeyTile& tile);
  void values(const KeyTile& tile);
  // The vector core's, for its share of the rows.
  void softmax(const KeyTile& tile, int64_t sibling);
  void update(const KeyTile& tile, int64_t sibling);
  void write_result(const KeyTile& tile, int64_t row, int64_t rows);

 private:
  bool is_unified() const { return profile_.unified_cores; }
  Pipe exit() const { return is_unified() ? Pipe::kVector : Pipe::kFixpipe; }
  int64_t weight_place(int64_t index) const;
  int64_t packet_place() const;
  int64_t lane_rows(const KeyTile& tile, int64_t sibling) const;
  int64_t score_ub(int64_t buffer) const;
  int64_t sums_ub() const;
  int64_t incoming_ub() const;
  void query(const KeyTile& tile);
  // Cube time goes on in `slot`; ends with the slot full.
  int64_t take_slot();
  void fill_slot(int64_t slot);
  void score_chunk(const KeyTile& tile, int64_t key, int64_t keys);
  void value_block(const KeyTile& tile, int64_t column, int64_t n);
  void hand_over(const KeyTile& tile, int64_t slot, const Rectangle& all,
                 int64_t n);
  void hand_over_sums(const KeyTile& tile, int64_t column, int64_t n,
                      int64_t slot);
  void take_scores(const KeyTile& tile, int64_t row, int64_t rows,
                   int64_t buffer);
  void give_weights(const KeyTile& tile, int64_t row, int64_t rows,
                    int64_t buffer);
  void load_weights(const KeyTile& tile);
  // n of the row's `columns` to UB.
  void drain(const KeyTile& tile, int64_t slot, int64_t ub, int64_t n,
             int64_t columns);
  void rescale(const KeyTile& tile, int64_t rows, int64_t column, int64_t n);
  void write_partial(const KeyTile& tile, int64_t row, int64_t rows);
  int64_t cache_columns(int64_t dim) const;  // of 32 bytes
  int64_t packet_pitch(int64_t keys) const;  // bytes of one of them in L1
  // Floats of the rows of a lane: maxima and sums of a work, factors of a tile.
  int64_t maxima_ub(const KeyTile& tile) const;
  int64_t factors_ub(const KeyTile& tile) const;
  Rectangle between(int64_t kind, const KeyTile& tile, int64_t row,
                    int64_t rows, int64_t row_bytes) const;
  void load_packet(const KeyTile& tile, Tensor tensor, const Packet& packet);
  void free_packet();
  void product(const Product& what);
  Instruction& vector_passes(VectorFunction function, int64_t at, int64_t m,
                             int64_t n, int64_t count);
  int64_t sums_pitch() const;
  int64_t last_key(const KeyTile& tile) const;

  const Profile& profile_;
  const AttentionPlan& plan_;
  Emitter& out_;
  int64_t query_bytes_ = 0;
  int64_t weight_bytes_ = 0;
  int64_t steps_ = 0;    // trips through L0
  int64_t packets_ = 0;  // through L1
  int64_t slots_ = 0;    // through L0C
  int64_t pieces_ = 0;   // of scores through UB
};

}  // namespace tessera::npu
