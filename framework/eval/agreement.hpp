// SPDX-License-Identifier: Apache-2.0
//
// How two implementations of one scheme agree, position by position.

#pragma once

#include <span>
#include <vector>

namespace tessera {

// numerics.md section 4.
struct Agreement {
  double kl_between = 0.0;        // mean KL(first || second)
  double kl_order_floor = 0.0;    // the same between two orders of the oracle
  double argmax_agreement = 0.0;  // over the decided positions
  // Positions where the oracle's top-2 margin exceeds twice the largest
  // difference that its orders show at any position: where activations are
  // quantized, a code flips here or there, so the position itself may show
  // none.
  double decided_share = 0.0;

  // Within twice the floor, and everywhere decided alike.
  bool agrees() const;
};

// The logits of one position from everyone: [vocab_size] each.
struct AgreementPosition {
  std::span<const float> first;
  std::span<const float> second;
  std::span<const float> ascending;  // the oracle, in two orders
  std::span<const float> descending;
};

class AgreementSums {
 public:
  void add(const AgreementPosition& position);
  Agreement result() const;

 private:
  struct Choice {
    double margin;  // the oracle's
    bool same;
  };

  double kl_between_ = 0.0;
  double kl_order_ = 0.0;
  double largest_difference_ = 0.0;
  std::vector<Choice> choices_;
};

}  // namespace tessera
