// SPDX-License-Identifier: Apache-2.0
//
// A forked process that runs a part of the kit and tells its parent, line by
// line, how far it came.

#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/services/shared_memory.hpp"

namespace tessera::conformance {

// Writes one line to the parent; newlines in `text` become spaces.
using LineWriter = std::function<void(const std::string& text)>;

// Of a child, for loading a library and asking it for its devices.
constexpr double kLoadSeconds = 60.0;

// What a line says behind `key` and a space; empty if it says something else.
std::string value_of(const std::string& line, const std::string& key);

class KitChild {
 public:
  // Forks; the child runs `body`, then ends without exit handlers.  A crash
  // there sends "fault WHAT" as its last line.
  // Errors: RESOURCE_EXHAUSTED.
  static Result<KitChild> start(
      const std::function<void(const LineWriter&)>& body);
  KitChild(KitChild&& other) noexcept;
  KitChild& operator=(KitChild&&) = delete;
  ~KitChild();  // kills it

  // Bytes of heap and other memory of its own that it may ask for: a plugin
  // that wants more is out of control.  At most three quarters of what the
  // machine has.  None with sanitizers, which reserve terabytes.
  static uint64_t memory_limit();

  enum class Read { kLine, kNothingYet, kClosed };
  // Takes the next line if it is there, and waits for none.
  Read try_line(std::string& line);
  // The next line; empty at the end, or after `seconds` without one.
  std::optional<std::string> read_line(double seconds);
  // Nobody waits for its lines any more.
  void give_up() { late_ = true; }
  // Given up, or read_line gave nothing because the time ran out.
  bool is_late() const { return late_; }
  // Returns once one of `children` has a line or has ended, or after `seconds`.
  static void wait_for_any(const std::vector<const KitChild*>& children,
                           double seconds);
  // Kills it if it still runs, and says how it ended: "signal 11 (...)", or ""
  // for a normal end.
  std::string finish();

 private:
  KitChild(pid_t pid, FileDescriptor pipe)
      : pid_(pid), pipe_(std::move(pipe)) {}

  pid_t pid_;
  FileDescriptor pipe_;
  std::string pending_;
  bool late_ = false;
};

}  // namespace tessera::conformance
