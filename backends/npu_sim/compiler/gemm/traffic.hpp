// SPDX-License-Identifier: Apache-2.0
//
// What a product asks of L2 and DRAM, by the order of its tiles.

#pragma once

#include <cstdint>

#include "backends/npu_sim/compiler/gemm/plan.hpp"

namespace tessera::npu {

// Sizes of all parts of a launch together: what no tiling changes.
struct PartsSummary {
  explicit PartsSummary(const std::vector<GemmPart>& parts);

  int64_t num_active = 0;  // with rows
  int64_t rows = 0;
  int64_t most_rows = 0;
};

int64_t tile_rows_of(const std::vector<GemmPart>& parts, int64_t tile_m);

// An operand on its way to L1, all cores together.
struct OperandTraffic {
  double bytes = 0;
  double first = 1;  // share that nobody has read before
  double again = 0;  // of the rest, the share that L2 holds no more

  double misses() const { return first + (1 - first) * again; }
};

struct Traffic {
  OperandTraffic input;
  OperandTraffic weight;
  double others = 0;  // bytes of further inputs, which all miss

  double dram() const {
    return input.bytes * input.misses() + weight.bytes * weight.misses() +
           others;
  }
};

// Tiles are visited band by band, each band column by column, and a wave of
// cores has as many neighbouring tiles in work as there are cores; all of a
// wave stand at the same k.  A panel that comes again finds in L2 what the
// bytes brought in between have left of it.
class TrafficModel {
 public:
  // Of `plan`, whose parts have `tile_rows` rows of tiles in all; passes before
  // it take `cycles_before`.
  TrafficModel(const Profile& profile, const GemmPlan& plan,
               const PartsSummary& parts, int64_t tile_rows,
               double cycles_before);

  // With that many dirty bytes in L2.
  Traffic at(double dirty_bytes) const;
  // Whether everything the launch touches fits at once.
  bool fits(double dirty_bytes) const { return unique_ <= room(dirty_bytes); }

  // Whether cores of a wave share inputs, and cores share weights.
  bool shares_both() const { return high_ > 1 && wide_ > 1; }
  double output() const { return output_; }
  // Of what passes before the product wrote.
  double written_before() const { return written_before_; }
  // Miss shares of what was not read before.
  double first_input() const { return first_input_; }
  double first_weight() const { return first_weight_; }

 private:
  struct Misses {
    double input = 0;         // a band's panel, at the next column or wave
    double weight_wave = 0;   // a column's panel, one wave later
    double weight_sweep = 0;  // the same, one band later
  };

  double room(double dirty_bytes) const {
    return (l2_bytes_ - dirty_bytes) * capacity_share_;
  }
  Misses misses_at(double room, double evicting) const;
  double input_left_out(const GemmPlan& plan) const;
  double wide_left_out(double codes, double spare_bytes) const;
  // Of weights before they are widened.
  double code_bytes(const GemmPlan& plan) const;

  double l2_bytes_;
  double capacity_share_;
  // Panels of one tile row and column, and what else a wave brings to L2.
  double input_panel_ = 0;
  double weight_panel_ = 0;
  double wave_others_ = 0;
  // The order: of one average part.
  double rows_ = 0;
  double columns_ = 0;
  double high_ = 0;  // of a band
  double bands_ = 0;
  double deep_ = 1;   // waves that one column of a band takes
  double wide_ = 1;   // columns that one wave covers
  double again_ = 0;  // times that a later wave reads a column's panel
  double input_unique_ = 0;
  double weight_unique_ = 0;
  double others_ = 0;
  double unique_ = 0;
  double output_ = 0;
  double written_before_ = 0;
  double first_input_ = 1;
  double first_weight_ = 1;
  double total_rows_ = 0;
  double packet_share_ = 1;  // of a panel
};

}  // namespace tessera::npu
