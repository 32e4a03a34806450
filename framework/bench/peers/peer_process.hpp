// SPDX-License-Identifier: Apache-2.0
//
// A program that times other software, as a child that answers lines of JSON.
// It stands still but while it is asked, so that threads that spin after their
// work disturb nobody.

#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/services/shared_memory.hpp"

namespace tessera::bench {

class PeerProcess {
 public:
  // Starts words[0], found in PATH if it has no slash, and reads the line with
  // which it names itself.  `threads` limits its pools; 0: they take all cores.
  //
  // Errors  NOT_FOUND if there is no such program; what read_line() says
  static Result<std::unique_ptr<PeerProcess>> start(
      const std::vector<std::string>& words, uint32_t threads);

  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;
  // Ends the program.
  ~PeerProcess();

  const nlohmann::json& greeting() const { return greeting_; }

  // Lets the program go on, asks, and halts it again.
  //
  // Errors  UNAVAILABLE if it has ended, took longer than `patience` or answers
  //         no JSON; nothing more can be asked then
  Result<nlohmann::json> ask(const nlohmann::json& request,
                             std::chrono::milliseconds patience);

 private:
  PeerProcess(int pid, FileDescriptor socket)
      : pid_(pid), socket_(std::move(socket)) {}
  Result<nlohmann::json> read_line(std::chrono::milliseconds patience);

  int pid_;
  FileDescriptor socket_;
  std::string unread_;
  nlohmann::json greeting_;
};

}  // namespace tessera::bench
