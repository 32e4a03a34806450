// SPDX-License-Identifier: Apache-2.0
//
// How far long work has come, on a terminal.

#pragma once

#include <chrono>
#include <mutex>
#include <string>

namespace tessera::cli {

// One line on stderr, rewritten at most five times a second and wiped at the
// end.  Says nothing before a second has passed, or if stderr is no terminal.
class Progress {
 public:
  explicit Progress(std::string label);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Any thread.  `share` is from 0 to 1; a smaller one than before is ignored.
  void update(double share);

 private:
  using Clock = std::chrono::steady_clock;

  const std::string label_;
  const bool is_terminal_;
  const Clock::time_point begin_;
  std::mutex mutex_;  // guards what follows
  Clock::time_point next_;
  double share_ = 0.0;
  bool drawn_ = false;
};

}  // namespace tessera::cli
