// SPDX-License-Identifier: Apache-2.0
//
// Lets long work stop in order when the user presses Ctrl-C.

#pragma once

#include <csignal>

namespace tessera::cli {

// While one lives, the first SIGINT or SIGTERM is noted; the second ends the
// process as ever.  One at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // Any thread.
  static bool asked();

 private:
  struct sigaction interrupted_ {};  // what was there before
  struct sigaction terminated_ {};
};

}  // namespace tessera::cli
