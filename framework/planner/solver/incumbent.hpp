// SPDX-License-Identifier: Apache-2.0
//
// The best plan found so far, and how choices that the relaxation offers become
// plans that keep the limits.

#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "framework/planner/solver/alternatives.hpp"
#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {

// Serves one chain, which outlives it.
class Incumbent {
 public:
  // `on_first` is told the objective of the first plan; null: nobody is.
  explicit Incumbent(const Chain& chain,
                     std::function<void(double)> on_first = nullptr)
      : chain_(chain), alternatives_(chain), on_first_(std::move(on_first)) {}

  bool exists() const { return objective_ < kInfinity; }
  // kInfinity if there is none.
  double objective() const { return objective_; }
  const Choice& choice() const { return choice_; }

  // Of the chain's items.
  const Alternatives& alternatives() const { return alternatives_; }

  // Ways that a relaxation could have priced instead of all this, about.
  uint64_t work() const { return work_; }

  // Takes `choice` if it keeps the limits and beats what there is.
  bool offer(const Choice& choice);
  // The same with what the choice adds up to.
  bool offer(const Choice& choice, const Totals& totals);

  // Offers `choice` after changing single items for the better until none is
  // left.  `prices` order the changes: those that take least of what is dear
  // come first.
  //
  // Returns the objective that it came to.
  //
  // Requires  `choice` keeps the limits
  double polish(Choice choice, std::span<const double> prices);

  // Offers the beginning of one with the end of the other, wherever that keeps
  // the limits and costs least.
  //
  // Returns  true if any cut keeps the limits
  bool splice(const Choice& a, const Choice& b, std::span<const double> prices);

 private:
  const Chain& chain_;
  Alternatives alternatives_;
  std::function<void(double)> on_first_;
  Choice choice_;
  double objective_ = kInfinity;
  uint64_t work_ = 0;
};

// A choice with its totals, changed item by item.
class Ledger {
 public:
  Ledger(const Chain& chain, Choice choice);

  const Choice& choice() const { return choice_; }
  const Totals& totals() const { return totals_; }

  // The totals if `item` used these options, until the next call.  Peaks may
  // come out too large, never too small.
  const Totals& with(uint32_t item, uint32_t prefill, uint32_t decode) const;
  void set(uint32_t item, uint32_t prefill, uint32_t decode);
  // Adds up anew: what set() leaves of peaks and rounding goes.
  void recount();

  // As Incumbent::work().
  uint64_t work() const { return work_; }

 private:
  const Chain& chain_;
  Choice choice_;
  Totals totals_;
  mutable Totals changed_;
  // What all but one item come to: that of the last with().
  mutable Totals without_;
  mutable uint32_t item_without_ = kNone;
  mutable uint64_t work_ = 0;
};

}  // namespace tessera::planner
