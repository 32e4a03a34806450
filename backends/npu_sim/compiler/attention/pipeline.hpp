// SPDX-License-Identifier: Apache-2.0
//
// A core's pipes over tiles of keys, each as one number: when it is free.  The
// order and the flags are those of the streams, without their instructions.

#pragma once

#include <array>
#include <cstdint>

#include "backends/npu_sim/compiler/attention/emitter.hpp"
#include "backends/npu_sim/compiler/attention/plan.hpp"
#include "backends/npu_sim/compiler/attention/scalar_unit.hpp"

namespace tessera::npu {

// How the cache comes to a core, in the mean.
struct CacheTraffic {
  double first_keys = 1;    // share that no core has read before
  double first_values = 1;  // and of V
  double cores = 1;         // that read at the same time
  double spill = 0;         // share of the results that L2 has no room for
};

// A tile of keys of a work of `rows` rows.
struct TileOfKeys {
  int64_t index = 0;  // of the core
  int64_t rows = 0;
  int64_t keys = 0;
  bool is_first = false;  // of its work
  bool is_last = false;
  // Keys of it that no core has read before, over their share in the mean.
  double fresh = 1;
};

class AttentionPipeline {
 public:
  AttentionPipeline(const Profile& profile, const AttentionPlan& plan,
                    const CacheTraffic& traffic);

  // In the order of the stream: a tile of an int8 cache is widened, its scores
  // are made, and its values.
  void widen(const TileOfKeys& tile, CachePart part);
  void ahead(const TileOfKeys& tile);
  void finish(const TileOfKeys& tile);
  // The scores of a tile for their maxima alone.
  void maximum(const TileOfKeys& tile);
  // `columns` columns of 16 dims of the tile's keys become f16 in GM.
  void widen_step(const TileOfKeys& tile, int64_t columns, CachePart part);

  // When all that was asked for has ended.
  double end() const;
  // Lets all pipes pass time that others spend alike.
  void skip(double cycles);
  // All cores wait for each other.
  void meet();

 private:
  static constexpr size_t kPlaces = 8;  // more than tiles under way
  static constexpr size_t kMostBlocks = 64;

  // A transfer from GM.
  struct Arrival {
    double cycles = 0;
    double latency = 0;
  };
  // A step through L0 of a product out of L1.
  struct Step {
    double mte1 = 0;
    double work = 0;
  };
  struct Product {
    int64_t m = 0;
    int64_t n = 0;
    int64_t k = 0;
    int64_t steps = 1;
    Step each;
    Step last;  // what K leaves
  };
  // A transfer by its sizes: what L2 and the core's own way to DRAM take.
  struct Lines {
    int64_t rows = 0;
    double row_bytes = 0;
    double stride = 0;
    double bytes = 0;
    double hit_cycles = 0;
    double miss_cycles = 0;
  };
  // Of K or V, whose transfers miss L2 or hit it as a whole: the core that
  // asks first pays for all.
  struct Source {
    double first = 1;
    double owed = 0;  // misses that have not come yet
  };
  // Misses come first, if there are any.
  static Source source_of(double first);

  // `rows` pieces of `row_bytes`, `stride` apart, which L2 holds or none of
  // which it does.
  Arrival transfer(int64_t rows, double row_bytes, double stride, bool misses);
  Lines make_lines(int64_t rows, double row_bytes, double stride) const;
  const Lines& lines(int64_t rows, double row_bytes, double stride);
  Arrival cached(int64_t rows, double row_bytes, double stride, double fresh,
                 Source& source);
  // DRAM while all cores do as this one does.
  void use_dram(double bytes);
  double dram_cycles(double bytes) const;
  bool reads_workspace() const {
    return plan_.widening != Widening::kNone && !plan_.keeps_cache();
  }
  double& next_slot() {
    last_slot_ = slot_;
    if (++slot_ == static_cast<size_t>(plan_.num_slots)) slot_ = 0;
    return slot_free_.at(last_slot_);
  }
  void read_packet(const TileOfKeys& tile, CachePart part, int64_t keys,
                   int64_t dims);
  Step step(int64_t m, int64_t n, int64_t k) const;
  Product make_product(int64_t m, int64_t n, int64_t k) const;
  const Product& product(int64_t m, int64_t n, int64_t k);
  void run(const Product& product, double operand_ready, double slot_free);
  void run_packet(const Product& product, double operand_ready,
                  double slot_free);
  void query(const TileOfKeys& tile);
  void scores(const TileOfKeys& tile, bool is_maximum);
  void softmax(const TileOfKeys& tile);
  void row_maxima(const TileOfKeys& tile);
  void join_maxima(int64_t rows);
  double take_scores(const TileOfKeys& tile, int64_t rows, double free);
  void values(const TileOfKeys& tile);
  void value_block(const TileOfKeys& tile, int64_t column, int64_t n);
  void weights(const TileOfKeys& tile);
  void update(const TileOfKeys& tile);
  void result(int64_t rows);
  void rescale(const TileOfKeys& tile, int64_t elements, double ready);
  double load_codes(const TileOfKeys& tile, int64_t columns, CachePart part,
                    double free);
  double take_in(double count, const Arrival& each, double ready);
  double passes(double elements, int64_t count) const;
  double drain_cycles(int64_t elements) const;
  // `count` instructions and the flags about them, of so many cycles in all.
  void vector(double count, double cycles, double ready);
  void move_out(double count, double cycles, double ready);
  double copy_out(int64_t rows, double row_bytes, bool to_l1) const;
  double hand_over(const TileOfKeys& tile, int64_t n, int64_t stride);
  void free_wide(const TileOfKeys& tile, CachePart part);
  int64_t lane_rows(int64_t rows) const;
  // MTE2 of the vector side, which is that of a unified core.
  double& reader() { return plan_.is_unified ? mte2_ : vector_mte2_; }
  Scalar& vector_scalar() {
    return plan_.is_unified ? scalar_ : vector_scalar_;
  }
  int64_t places(CachePart part) const {
    return part == CachePart::kKeys ? plan_.key_places() : plan_.value_places();
  }

  const Profile& profile_;
  const AttentionPlan& plan_;
  int64_t packet_dims_;
  int64_t packet_keys_;
  int64_t fractal_dims_;
  // Those asked for last: tiles are alike.
  std::array<Product, 8> products_{};
  size_t num_products_ = 0;
  std::array<Lines, 8> lines_{};
  size_t num_lines_ = 0;
  double cores_;
  double spill_;
  double dram_rate_;
  // What DRAM had to do for all cores, in cycles of its own.
  double dram_time_;
  Source keys_;
  Source values_;
  double l2_rate_;
  double write_rate_;
  double hop_;  // from a write of one core to a wait of another

  // The cube core.
  double mte2_ = 0;
  double mte2_done_ = 0;  // with latency
  double mte1_ = 0;
  double cube_ = 0;
  double cube_done_ = 0;
  double fixpipe_ = 0;
  double query_free_ = 0;
  double query_ready_ = 0;
  std::array<double, 8> packet_free_{};
  std::array<double, 2> l0_free_{};
  std::array<double, 4> slot_free_{};
  std::array<double, 2> weight_free_{};
  size_t packet_ = 0;  // the buffer of the next
  int64_t steps_ = 0;
  size_t slot_ = 0;
  size_t last_slot_ = 0;
  // The vector core, or pipe.
  double vector_mte2_ = 0;
  double vector_ = 0;
  double vector_done_ = 0;
  double mte3_ = 0;
  double incoming_free_ = 0;
  double result_free_ = 0;  // the sums of the work before have left
  std::array<double, 2> piece_free_{};
  int64_t pieces_ = 0;
  std::array<double, 8> widening_free_{};
  int64_t widenings_ = 0;
  Scalar scalar_;
  Scalar vector_scalar_;
  // Flags, by tile; of K and V.
  std::array<double, kPlaces> scores_ready_{};
  std::array<double, kPlaces> scores_free_{};
  std::array<double, kPlaces> weights_ready_{};
  std::array<std::array<double, kMostBlocks>, kPlaces> sums_ready_{};
  std::array<std::array<double, kPlaces>, 2> wide_ready_{};
  std::array<std::array<double, kPlaces>, 2> wide_free_{};
};

}  // namespace tessera::npu
