// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/runtime/probe.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

namespace tessera::opencl {
namespace {

// The child says nothing: what it prints would be taken for ours.
void silence() {
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0) return;
  dup2(nothing, STDOUT_FILENO);
  dup2(nothing, STDERR_FILENO);
}

[[noreturn]] void run_child(const std::function<void()>& body) {
  silence();
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) {
    signal(number, SIG_DFL);
  }
  int code = 0;
  try {
    body();
  } catch (...) {
    code = 1;
  }
  _exit(code);
}

std::string judge(int status) {
  if (WIFSIGNALED(status)) {
    return "crash with signal " + std::to_string(WTERMSIG(status));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
  return "fail";
}

}  // namespace

std::string probe_in_child(const std::function<void()>& body, int seconds) {
  const pid_t child = fork();
  if (child < 0) return "";
  if (child == 0) run_child(body);
  constexpr long kPollNs = 500'000;
  constexpr int kPollsPerSecond = 2000;
  for (int poll = 0; poll < seconds * kPollsPerSecond; ++poll) {
    int status = 0;
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child) return judge(status);
    // The host may reap all children itself; then nothing is known.
    if (ended < 0 && errno != EINTR) return "";
    const timespec pause{0, kPollNs};
    nanosleep(&pause, nullptr);
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return "hang";
}

}  // namespace tessera::opencl
