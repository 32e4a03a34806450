// SPDX-License-Identifier: Apache-2.0
//
// Cases that run one after the other, in one child until it dies, then in the
// next.  Lanes run side by side.

#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/running/budget.hpp"
#include "framework/conformance/kit/running/child.hpp"
#include "framework/conformance/kit/running/report.hpp"

namespace tessera::conformance {

// For loading a library and asking it for its devices.
constexpr double kLoadSeconds = 60.0;

// What a line says behind `key` and a space; empty if it says something else.
std::string value_of(const std::string& line, const std::string& key);

class Lane {
 public:
  struct Calls {
    std::function<void(CaseResult)> add;
    // True if the case at this place of the list, and so all behind it, are not
    // to be begun.
    std::function<bool(size_t)> is_done;
  };

  // Takes the cases first, first + step, ... of `cases`, which it keeps a
  // reference to, as to `options`.
  Lane(const KitOptions& options, const std::vector<ListedCase>& cases,
       size_t first, size_t step)
      : options_(options), cases_(cases), next_(first), step_(step) {}

  // Starts a child if there is none and a case to run, takes all lines that
  // are there, and the place of a child that died or is late.
  //
  // Errors  RESOURCE_EXHAUSTED if no child can be made
  Status advance(const Calls& calls);

  // The child to wait for; null if none runs.
  const KitChild* child() const { return child_ ? &*child_ : nullptr; }
  // Until the child is late.
  double seconds_left() const;
  // Cases without a result.
  size_t num_left() const;

 private:
  using Clock = std::chrono::steady_clock;

  Status start_child();
  void take(const std::string& line, const Calls& calls);
  Status take_loss(const Calls& calls);
  Status look_again(CaseResult& result) const;
  void add(CaseResult result, const Calls& calls);

  const KitOptions& options_;
  const std::vector<ListedCase>& cases_;
  size_t next_;  // may lie behind the last
  size_t step_;
  std::optional<KitChild> child_;
  double limit_seconds_ = kLoadSeconds;  // from one line to the next
  Clock::time_point last_line_;
  std::string fault_;
  std::vector<Figure> figures_;
};

}  // namespace tessera::conformance
