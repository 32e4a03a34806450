// SPDX-License-Identifier: Apache-2.0
//
// The instructions of one tile of keys: scores, softmax, values, sums.

#pragma once

#include <cstdint>

#include "backends/npu_sim/compiler/attention_plan.hpp"
#include "backends/npu_sim/compiler/emitter.hpp"

namespace tessera::npu {

// One tile of keys of one work.
struct KeyTile {
  const AttentionWork* work = nullptr;
  int64_t core = 0;
  int64_t index = 0;  // of this core
  int64_t begin = 0;  // first key
  int64_t keys = 0;
  bool is_first = false;
  bool is_last = false;
};

// Where a product takes its operands, and leaves its result.
struct ProductPlace {
  int64_t a_l1 = 0;
  int64_t b_l1 = 0;
  int64_t l0c = 0;
};

class AttentionEmitter {
 public:
  AttentionEmitter(const Profile& profile, const AttentionPlan& plan,
                   Emitter& out);

  void primes(bool has_cube, bool has_vector);
  // The cube core's part; `steps` counts trips through L0.
  void scores(const KeyTile& tile, int64_t& steps);
  void values(const KeyTile& tile, int64_t& steps);
  // The vector core's, for its share of the rows.
  void softmax(const KeyTile& tile, int64_t sibling);
  void update(const KeyTile& tile, int64_t sibling);
  void write_result(const KeyTile& tile, int64_t row, int64_t rows,
                    int64_t column, int64_t n);
  int64_t v_dim() const { return plan_.attention.v_dim; }

 private:
  bool is_unified() const { return profile_.unified_cores; }
  Pipe exit() const { return is_unified() ? Pipe::kVector : Pipe::kFixpipe; }
  int64_t query_place() const { return 0; }
  int64_t key_place(int64_t index) const;
  int64_t value_place(int64_t index) const;
  int64_t weight_place(int64_t index) const;
  int64_t lane_rows(const KeyTile& tile, int64_t sibling) const;
  int64_t sums_ub() const;
  int64_t incoming_ub() const;
  int64_t sum_place(int64_t slot) const;
  void query(const KeyTile& tile);
  void hand_over_scores(const KeyTile& tile);
  void take_scores(const KeyTile& tile, int64_t row, int64_t rows);
  void give_weights(const KeyTile& tile, int64_t row, int64_t rows);
  void load_weights(const KeyTile& tile);
  void hand_over_sums(const KeyTile& tile, int64_t column, int64_t n,
                      int64_t slot);
  void drain_sums(const KeyTile& tile, int64_t n, int64_t slot);
  int64_t score_slot(const KeyTile& tile) const {
    return tile.index % plan_.score_slots;
  }
  Rectangle between(int64_t place, int64_t row, int64_t rows,
                    int64_t row_bytes) const;
  void load_cache(const KeyTile& tile, Tensor tensor, int64_t dim, int64_t dst);
  void product(const ProductPlace& place, int64_t m, int64_t n, int64_t k,
               int64_t& steps);
  void vector_passes(int64_t at, int64_t elements, int64_t count);

  const Profile& profile_;
  const AttentionPlan& plan_;
  Emitter& out_;
  int64_t query_bytes_ = 0;
  int64_t key_bytes_ = 0;
  int64_t value_bytes_ = 0;
  int64_t weight_bytes_ = 0;
  int64_t score_bytes_ = 0;
};

}  // namespace tessera::npu
