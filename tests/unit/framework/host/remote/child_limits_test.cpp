// SPDX-License-Identifier: Apache-2.0
//
// Limits hold for good, so each is tried in a process of its own.

#include "framework/host/remote/child_limits.hpp"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

namespace tessera {
namespace {

// What `body` returns in a child: 0 for "as it should be".
int exit_code_of(int (*body)()) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(ChildLimits, CloseWhatTheHostHadOpen) {
  const int fd = open("/dev/null", O_RDONLY);
  ASSERT_GT(fd, 2);
  EXPECT_EQ(exit_code_of([] {
              limit_child(3);
              for (int i = 3; i < 1000; ++i) {
                if (fcntl(i, F_GETFD) != -1) return 1;
              }
              return fcntl(2, F_GETFD) == -1 ? 2 : 0;
            }),
            0);
  close(fd);
}

TEST(ChildLimits, GiveNoNewRightsAndNoCores) {
  EXPECT_EQ(exit_code_of([] {
              limit_child(3);
              rlimit cores{};
              getrlimit(RLIMIT_CORE, &cores);
              if (cores.rlim_max != 0) return 1;
              return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 2;
            }),
            0);
}

TEST(ChildLimits, EndTheChildWithItsParent) {
  int line[2];
  ASSERT_EQ(pipe(line), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    if (fork() == 0) {
      limit_child(line[1] + 1);
      for (;;) pause();
    }
    usleep(50'000);
    _exit(0);
  }
  waitpid(parent, nullptr, 0);
  close(line[1]);
  // The grandchild holds the other end for as long as it lives.
  char nothing = 0;
  EXPECT_EQ(read(line[0], &nothing, 1), 0);
  close(line[0]);
}

constexpr int kNoSandbox = 77;

// Runs `body` in the sandbox.
template <int (*Body)()>
int in_sandbox() {
  return exit_code_of([] {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return enter_sandbox().ok() ? Body() : kNoSandbox;
  });
}

int try_forbidden() {
  char program[] = "/bin/true";
  char* arguments[] = {program, nullptr};
  if (execv(program, arguments) != -1 || errno != EPERM) return 1;
  if (socket(AF_INET, SOCK_STREAM, 0) != -1 || errno != EPERM) return 2;
  if (kill(getppid(), 0) != -1 || errno != EPERM) return 3;
  if (chroot("/") != -1 || errno != EPERM) return 4;
  return 0;
}

int try_allowed() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 1;
  const int local = socket(AF_UNIX, SOCK_STREAM, 0);
  if (local < 0) return 2;
  if (kill(getpid(), 0) != 0) return 3;
  int sum = 0;
  std::thread([&sum] { sum = 1; }).join();
  if (sum != 1) return 4;
  const int fd = open("/dev/null", O_RDWR);
  return fd < 0 || malloc(1 << 20) == nullptr ? 5 : 0;
}

int try_abort() { std::abort(); }

TEST(Sandbox, RefusesProgramsConnectionsAndOtherProcesses) {
  const int code = in_sandbox<try_forbidden>();
  if (code == kNoSandbox) GTEST_SKIP() << "no seccomp here";
  EXPECT_EQ(code, 0);
}

TEST(Sandbox, LeavesWhatAPluginNeeds) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer knows no threads of a forked process";
#endif
  const int code = in_sandbox<try_allowed>();
  if (code == kNoSandbox) GTEST_SKIP() << "no seccomp here";
  EXPECT_EQ(code, 0);
}

TEST(Sandbox, AnAbortStillEndsTheProcess) {
  const int code = in_sandbox<try_abort>();
  if (code == kNoSandbox) GTEST_SKIP() << "no seccomp here";
  EXPECT_EQ(code, 128 + SIGABRT);
}

}  // namespace
}  // namespace tessera
