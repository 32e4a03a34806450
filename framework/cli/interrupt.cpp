// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/interrupt.hpp"

#include <atomic>

namespace tessera::cli {
namespace {

std::atomic<bool> was_asked{false};
static_assert(std::atomic<bool>::is_always_lock_free,
              "a handler may not wait for a lock");

void note(int /*signal*/) { was_asked = true; }

}  // namespace

Interrupt::Interrupt() {
  was_asked = false;
  struct sigaction action {};
  action.sa_handler = note;
  // The next signal is not noted but obeyed.
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &interrupted_);
  sigaction(SIGTERM, &action, &terminated_);
}

Interrupt::~Interrupt() {
  sigaction(SIGINT, &interrupted_, nullptr);
  sigaction(SIGTERM, &terminated_, nullptr);
}

bool Interrupt::asked() { return was_asked; }

}  // namespace tessera::cli
