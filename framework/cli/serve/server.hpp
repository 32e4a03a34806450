// SPDX-License-Identifier: Apache-2.0
//
// HTTP in front of an engine.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/session/engine.hpp"

namespace tessera::cli {

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;  // 0: any that is free
  // One of them has to come with each request; empty: none has to.
  std::vector<std::string> api_keys;
  uint32_t parallel = 1;     // answers that are made at once
  uint32_t max_waiting = 0;  // requests that wait for that; more are refused
  // How long answers may go on once all is over.
  double grace_seconds = 0.0;
  // Asked every tenth of a second: true ends all.
  std::function<bool()> is_over;
};

class Server {
 public:
  Server(session::Engine& engine, ServerOptions options);
  ~Server();

  // From now on connections wait.
  // Errors  UNAVAILABLE if the address cannot be had
  Status bind();
  uint16_t port() const;

  // Answers until is_over(), and ends what is being answered then, or cuts it
  // off after grace_seconds.
  // Errors  INTERNAL if the socket failed
  Status run();

 private:
  class Routes;
  std::unique_ptr<Routes> routes_;
};

// Whether only this machine can reach `host`.
bool is_loopback(const std::string& host);

}  // namespace tessera::cli
