// SPDX-License-Identifier: Apache-2.0
//
// One case in a child of its own: it loads the library, runs the case, closes
// what that opened, and ends.

#pragma once

#include <chrono>
#include <string>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/case.hpp"
#include "framework/conformance/kit/running/child.hpp"
#include "framework/conformance/kit/running/report.hpp"

namespace tessera::conformance {

class CaseChild {
 public:
  // `sha256` is the library's.  Keeps what it needs of all.
  //
  // Requires  as KitChild::start
  // Errors    RESOURCE_EXHAUSTED if no child can be made
  static Result<CaseChild> start(const KitOptions& options,
                                 const std::string& sha256, const Case& one);

  // Takes what the child wrote, and waits for nothing.  True once there is a
  // result: it ended, died, or its time is over.
  bool has_ended();
  // To wait for, until has_ended() or for so long.
  const KitChild& child() const { return child_; }
  double seconds_left() const;

  // Requires  has_ended()
  const CaseResult& result() const { return result_; }

 private:
  using Clock = std::chrono::steady_clock;

  CaseChild(KitChild child, const Case& one, double patience);
  bool take(const std::string& line);
  void take_loss();

  KitChild child_;
  double case_seconds_;
  double limit_seconds_ = kLoadSeconds;  // from one line to the next
  Clock::time_point last_line_ = Clock::now();
  enum class Stage { kLoading, kRunning, kClosing } stage_ = Stage::kLoading;
  std::string fault_;
  CaseResult result_;
};

}  // namespace tessera::conformance
