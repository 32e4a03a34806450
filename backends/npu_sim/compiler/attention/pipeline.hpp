// SPDX-License-Identifier: Apache-2.0
//
// A core's pipes over tiles of keys, each as one number: when it is free.  The
// order and the flags are those of the streams, without their instructions.

#pragma once

#include <array>
#include <cstdint>

#include "backends/npu_sim/compiler/attention/plan.hpp"
#include "backends/npu_sim/compiler/gemm/tile_times.hpp"

namespace tessera::npu {

// How the cache comes to a core, in the mean.
struct CacheTraffic {
  double first = 1;  // share of it that no core has read before
  double cores = 1;  // that read at the same time
};

// A tile of keys of a work of `rows` rows.
struct TileOfKeys {
  int64_t index = 0;  // of the core
  int64_t rows = 0;
  int64_t keys = 0;
  bool is_first = false;  // of its work
  bool is_last = false;
};

class AttentionPipeline {
 public:
  AttentionPipeline(const Profile& profile, const AttentionPlan& plan,
                    const CacheTraffic& traffic);

  // In this order: what runs ahead, then the tile it runs ahead of.
  void ahead(const TileOfKeys& tile);
  void finish(const TileOfKeys& tile);

  // When all that was asked for has ended.
  double end() const;
  // Lets all pipes pass time that others spend alike.
  void skip(double cycles);

 private:
  static constexpr size_t kPlaces = 8;  // more than tiles under way
  static constexpr size_t kMostBlocks = 64;

  // A transfer of the cache to L1 and its product.
  struct Packet {
    double load = 0;
    double latency = 0;
    double steps = 1;
    double mte1 = 0;  // of one step
    double work = 0;
  };

  double transfer(double bytes, int64_t rows, double row_bytes,
                  double first) const;
  Packet packet(int64_t keys, int64_t dims, int64_t n, int64_t k, int64_t m,
                bool is_cached) const;
  void query(const TileOfKeys& tile);
  void run(const Packet& packet, double operand_ready, double slot_free);
  void scores(const TileOfKeys& tile);
  void softmax(const TileOfKeys& tile);
  void values(const TileOfKeys& tile);
  void weights(const TileOfKeys& tile);
  void update(const TileOfKeys& tile);
  void result(int64_t rows);
  double passes(double elements, int64_t count) const;
  void vector(double cycles, double ready);
  double hand_over(const TileOfKeys& tile, double bytes);
  void hold();
  int64_t lane_rows(int64_t rows) const;

  const Profile& profile_;
  const AttentionPlan& plan_;
  CacheTraffic traffic_;
  double l2_rate_;
  double write_rate_;
  double hop_;  // from a write of one core to a wait of another

  // The cube core.
  double mte2_ = 0;
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
  int64_t packets_ = 0;
  int64_t steps_ = 0;
  int64_t slots_ = 0;
  // The vector core, or pipe.
  double vector_mte2_ = 0;
  double vector_ = 0;
  double vector_done_ = 0;
  double mte3_ = 0;
  double incoming_free_ = 0;
  double result_free_ = 0;  // the sums of the work before have left
  std::array<double, 2> piece_free_{};
  int64_t pieces_ = 0;
  // Until when the scalar units stand at a full queue.
  double held_ = 0;
  double vector_held_ = 0;
  // Flags, by tile.
  std::array<double, kPlaces> scores_ready_{};
  std::array<double, kPlaces> weights_ready_{};
  std::array<std::array<double, kMostBlocks>, kPlaces> sums_ready_{};
};

}  // namespace tessera::npu
