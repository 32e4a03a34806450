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
  int64_t count = 0;        // of tiles on this core
  bool is_maximum = false;  // only the maxima of its scores are wanted
};

enum class CachePart : uint8_t { kKeys, kValues };

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
  // The vector core's: its share of an int8 tile as the cube takes it.
  void widen(const KeyTile& tile, CachePart part, int64_t sibling);
  // Its share of the whole cache; leaves all flags as it found them.
  void widen_cache(int64_t lane, int64_t num_lanes);
  // And for its share of the rows.
  void maxima(const KeyTile& tile, int64_t sibling);
  void softmax(const KeyTile& tile, int64_t sibling);
  void update(const KeyTile& tile, int64_t sibling);
  void write_result(const KeyTile& tile, int64_t row, int64_t rows);

 private:
  bool is_unified() const { return profile_.unified_cores; }
  bool widens_ahead() const { return plan_.widening == Widening::kAhead; }
  CachePart value_part() const {
    return plan_.attention.v_in_k ? CachePart::kKeys : CachePart::kValues;
  }
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
  // The pipe that is done with a piece last says that it is free.
  void take_scores(const KeyTile& tile, int64_t row, int64_t rows,
                   int64_t buffer, Pipe frees);
  // Fields of softmax, codes and maxima.
  void see_rows(const KeyTile& tile, int64_t row, int64_t in_lane,
                Instruction& one) const;
  void write_maxima(const KeyTile& tile, int64_t row, int64_t rows);
  void join_maxima(const KeyTile& tile, int64_t row, int64_t rows);
  void load_marks(const KeyTile& tile, int64_t row, int64_t rows);
  // What of UB nothing else takes: maxima of splits and marks, or steps of
  // widening.
  int64_t spare_ub() const;
  int64_t marks_ub() const;
  int64_t num_places(CachePart part) const;
  // Of a tile of the cache, in L1 or in GM.
  int64_t wide_place(const KeyTile& tile, CachePart part) const;
  int64_t wide_pitch(const KeyTile& tile) const;
  int64_t wide_flag(const KeyTile& tile, CachePart part) const;
  void take_wide(const KeyTile& tile, CachePart part);
  void free_wide(const KeyTile& tile, CachePart part);
  void load_codes(const KeyTile& tile, CachePart part, const Packet& packet,
                  int64_t at);
  void widen_columns(const KeyTile& tile, CachePart part, int64_t column,
                     int64_t count);
  int64_t cache_row(const KeyTile& tile) const;  // of the sequence's first key
  void load_wide_packet(const KeyTile& tile, CachePart part,
                        const Packet& packet);
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
  void load_packet(const KeyTile& tile, CachePart part, const Packet& packet);
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
  int64_t widened_ = 0;  // steps of widening
};

}  // namespace tessera::npu
