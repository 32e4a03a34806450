// SPDX-License-Identifier: Apache-2.0

#include "framework/host/remote/child_process.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "framework/host/timeline.hpp"
#include "framework/host/trust.hpp"
#include "tessera/error.hpp"

extern char** environ;

namespace tessera {
namespace {

// A child that was told to end gets this long before it is killed.
constexpr int kEndMilliseconds = 2000;

struct SocketPair {
  FileDescriptor here;
  FileDescriptor there;
};

Status system_error(const char* what) {
  return {TSR_RESOURCE_EXHAUSTED, std::string(what) + ": " + strerror(errno)};
}

Result<SocketPair> make_sockets(int type) {
  int fds[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) != 0) {
    return system_error("socketpair");
  }
  SocketPair pair{FileDescriptor(fds[0]), FileDescriptor(fds[1])};
  // Out of the way of the numbers that the child expects.
  constexpr int kFirstFree = 16;
  FileDescriptor moved(fcntl(fds[1], F_DUPFD_CLOEXEC, kFirstFree));
  if (!moved.is_open()) return system_error("dup");
  pair.there = std::move(moved);
  return pair;
}

// Starts the program with the two sockets where it looks for them, and no
// signal blocked.
Result<pid_t> spawn(const std::string& program, int socket, int log_socket) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, socket, kChildSocket);
  posix_spawn_file_actions_adddup2(&actions, log_socket, kChildLogSocket);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::string name = program;
  char* arguments[] = {name.data(), nullptr};
  pid_t pid = -1;
  const int code = posix_spawn(&pid, program.c_str(), &actions, &attributes,
                               arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (code == ENOENT) return Status(TSR_NOT_FOUND, "no program " + program);
  if (code != 0) {
    return Status(TSR_RESOURCE_EXHAUSTED, program + ": " + strerror(code));
  }
  return pid;
}

std::string describe_end(int status) {
  if (WIFSIGNALED(status)) {
    const char* name = sigabbrev_np(WTERMSIG(status));
    return "died of SIG" +
           (name != nullptr ? name : std::to_string(WTERMSIG(status)));
  }
  return "ended with code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

tsr_status fail_call(tsr_error* err, tsr_status code, uint32_t retry,
                     const std::string& message) {
  return sdk::detail::fail(err, sdk::Error(code, message).retry(retry));
}

Result<std::shared_ptr<ChildProcess>> ChildProcess::start(Log log) {
  TSR_ASSIGN_OR_RETURN(SocketPair calls, make_sockets(SOCK_STREAM));
  TSR_ASSIGN_OR_RETURN(SocketPair lines, make_sockets(SOCK_SEQPACKET));
  TSR_ASSIGN_OR_RETURN(const pid_t pid,
                       spawn(executable_folder() + "/tessera-plugin-child",
                             calls.there.get(), lines.there.get()));
  return std::shared_ptr<ChildProcess>(new ChildProcess(
      pid, std::move(calls.here), std::move(lines.here), std::move(log)));
}

ChildProcess::ChildProcess(pid_t pid, FileDescriptor socket,
                           FileDescriptor log_socket, Log log)
    : pid_(pid),
      socket_(std::move(socket)),
      log_socket_(std::move(log_socket)),
      pid_fd_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))),
      stop_fd_(eventfd(0, EFD_CLOEXEC)),
      log_(std::move(log)),
      watcher_([this] { run_watcher(); }) {}

ChildProcess::~ChildProcess() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written =
      write(stop_fd_.get(), &one, sizeof(one));
  watcher_.join();
  end();
}

// The child ends by itself when its socket closes.
void ChildProcess::end() {
  if (dead_) return;
  shutdown(socket_.get(), SHUT_RDWR);
  pollfd ended{pid_fd_.get(), POLLIN, 0};
  if (!pid_fd_.is_open() || poll(&ended, 1, kEndMilliseconds) <= 0) {
    kill(pid_, SIGKILL);
  }
  read_log();
  waitpid(pid_, nullptr, 0);
}

void ChildProcess::watch(tsr_timeline* cell) {
  const std::lock_guard<std::mutex> lock(death_mutex_);
  timelines_.push_back(cell);
  if (dead_) signal_timeline(*cell, UINT64_MAX, TSR_INTERNAL);
}

void ChildProcess::forget(tsr_timeline* cell) {
  const std::lock_guard<std::mutex> lock(death_mutex_);
  const auto found = std::find(timelines_.begin(), timelines_.end(), cell);
  if (found != timelines_.end()) timelines_.erase(found);
}

void ChildProcess::run_watcher() {
  for (;;) {
    pollfd events[] = {{stop_fd_.get(), POLLIN, 0},
                       {log_socket_.get(), POLLIN, 0},
                       {pid_fd_.get(), POLLIN, 0},
                       {socket_.get(), POLLRDHUP, 0}};
    if (poll(events, std::size(events), -1) < 0 && errno != EINTR) return;
    if (events[0].revents != 0) return;
    if ((events[1].revents & POLLIN) != 0) read_log();
    if (events[2].revents != 0 || events[3].revents != 0) {
      read_log();
      declare_dead();
      return;
    }
  }
}

// Passes on what lies in the log socket.
void ChildProcess::read_log() {
  struct {
    uint64_t level;
    char text[kMaxLogBytes];
  } line{};
  for (;;) {
    const ssize_t bytes =
        recv(log_socket_.get(), &line, sizeof(line), MSG_DONTWAIT);
    if (bytes < static_cast<ssize_t>(sizeof(line.level))) return;
    const size_t length = static_cast<size_t>(bytes) - sizeof(line.level);
    log_(static_cast<uint32_t>(line.level),
         std::string_view(line.text, length));
  }
}

void ChildProcess::declare_dead() {
  const std::lock_guard<std::mutex> lock(death_mutex_);
  if (dead_) return;
  dead_ = true;
  // It closed its socket or ended; in both cases nothing more comes from it.
  kill(pid_, SIGKILL);
  int status = 0;
  cause_ = waitpid(pid_, &status, 0) == pid_ ? describe_end(status) : "ended";
  shutdown(socket_.get(), SHUT_RDWR);
  for (tsr_timeline* cell : timelines_) {
    signal_timeline(*cell, UINT64_MAX, TSR_INTERNAL);
  }
}

RemoteCall::RemoteCall(ChildProcess& child, CallId id)
    : child_(child), lock_(child.call_mutex_) {
  child_.request_.clear();
  child_.request_.put(id);
}

Result<bool> RemoteCall::reserve_bulk(uint64_t bytes) {
  if (bytes <= child_.bulk_.bytes()) return false;
  TSR_ASSIGN_OR_RETURN(child_.bulk_,
                       SharedMemory::create("tessera-planes", bytes));
  return true;
}

tsr_status RemoteCall::run(tsr_error* err) {
  if (send_message(child_.socket_.get(), child_.request_) &&
      receive_message(child_.socket_.get(), child_.reply_)) {
    const auto code = results().get<int64_t>();
    const auto error = results().get<tsr_error>();
    if (results().ok()) {
      if (err != nullptr) sdk::detail::copy_out(error, err);
      return static_cast<tsr_status>(code);
    }
  }
  child_.declare_dead();
  const std::lock_guard<std::mutex> lock(child_.death_mutex_);
  return fail_call(err, TSR_INTERNAL, TSR_DEVICE_LOST,
                   "the plugin's process " + child_.cause_);
}

}  // namespace tessera
