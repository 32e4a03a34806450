// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "framework/cli/console.hpp"

namespace tessera::cli {
namespace {

constexpr std::chrono::milliseconds kSilence{1000};
constexpr std::chrono::milliseconds kPause{200};

}  // namespace

Progress::Progress(std::string label)
    : label_(std::move(label)),
      is_terminal_(isatty(STDERR_FILENO) == 1),
      begin_(Clock::now()),
      next_(begin_ + kSilence) {}

Progress::~Progress() {
  if (drawn_) write_err("\r\x1b[K");
}

void Progress::update(double share) {
  if (!is_terminal_) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  share_ = std::max(share_, share);
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + kPause;
  drawn_ = true;
  const double passed = std::chrono::duration<double>(now - begin_).count();
  const double left = share_ > 0.0 ? passed * (1.0 - share_) / share_ : 0.0;
  write_err(fmt::format("\r\x1b[K{}: {:.0f} %, {:.0f} s left", label_,
                        share_ * 100.0, left));
}

}  // namespace tessera::cli
