// SPDX-License-Identifier: Apache-2.0
//
// tessera-plugin-child: the process in which an isolated plugin runs.  The host
// starts it with its sockets open; it takes no arguments.

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <utility>

#include "framework/host/remote/calls.hpp"
#include "framework/host/remote/child_limits.hpp"
#include "framework/host/remote/child_server.hpp"

namespace {

bool is_socket(int fd) {
  int type = 0;
  socklen_t bytes = sizeof(type);
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0;
}

}  // namespace

int main() {
  using tessera::kChildLogSocket;
  using tessera::kChildMailbox;
  using tessera::kChildSocket;
  if (!is_socket(kChildSocket) || !is_socket(kChildLogSocket)) {
    fprintf(stderr, "tessera-plugin-child: only tessera starts this program\n");
    return 2;
  }
  tessera::limit_child(kChildMailbox + 1);
  // What the plugin starts must not keep the line to the host open.
  fcntl(kChildSocket, F_SETFD, FD_CLOEXEC);
  fcntl(kChildLogSocket, F_SETFD, FD_CLOEXEC);
  // The host records calls where it makes them.
  unsetenv("TESSERA_RECORD");
  // An interrupt is the host's to answer; the child ends with its socket.
  signal(SIGINT, SIG_IGN);
  tessera::Result<tessera::Mailbox> mailbox =
      tessera::Mailbox::open(tessera::FileDescriptor(kChildMailbox));
  if (!mailbox.ok()) return 2;
  tessera::ChildServer(kChildSocket, kChildLogSocket, std::move(*mailbox))
      .run();
  return 0;
}
