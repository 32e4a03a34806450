// SPDX-License-Identifier: Apache-2.0

#include "framework/host/remote/child_process.hpp"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
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

#include "framework/host/device/timeline.hpp"
#include "framework/host/trust/trust.hpp"
#include "tessera/error.hpp"

extern char** environ;

namespace tessera {
namespace {

// A child that was told to end gets this long before it is killed.
constexpr int kEndMilliseconds = 2000;

// Of calls that load, pack, compile or simulate.
constexpr uint64_t kCallLimitNs = 600'000'000'000;

// Of a message that has begun to come.
constexpr timeval kTransferLimit = {60, 0};

// Out of the way of the numbers that the child expects.
constexpr int kFirstFree = 16;

// Any other answer, and above all the end of an object, may take no longer than
// a step.
bool may_take_long(CallId id) {
  switch (id) {
    case CallId::kLoad:
    case CallId::kDeviceOpen:
    case CallId::kCheck:
    case CallId::kEstimate:
    case CallId::kPackingBegin:
    case CallId::kPackingSlice:
    case CallId::kPackingEnd:
    case CallId::kWeightCreate:
    case CallId::kProgramCreate:
    case CallId::kDeviceAsk:
      return true;
    default:
      return false;
  }
}

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
  setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &kTransferLimit,
             sizeof(kTransferLimit));
  setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &kTransferLimit,
             sizeof(kTransferLimit));
  FileDescriptor moved(fcntl(fds[1], F_DUPFD_CLOEXEC, kFirstFree));
  if (!moved.is_open()) return system_error("dup");
  pair.there = std::move(moved);
  return pair;
}

// Starts the program with the descriptors where it looks for them, no standard
// input, what it prints on stderr, and no signal blocked.
Result<pid_t> spawn(const std::string& program, int socket, int log_socket,
                    int mailbox) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, socket, kChildSocket);
  posix_spawn_file_actions_adddup2(&actions, log_socket, kChildLogSocket);
  posix_spawn_file_actions_adddup2(&actions, mailbox, kChildMailbox);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                   O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
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

std::string hang_text(uint64_t limit_ns) {
  return fmt::format("gave no answer for {:g} s and was ended",
                     static_cast<double>(limit_ns) / 1e9);
}

}  // namespace

tsr_status fail_call(tsr_error* err, tsr_status code, uint32_t retry,
                     const std::string& message) {
  return sdk::detail::fail(err, sdk::Error(code, message).retry(retry));
}

Result<std::shared_ptr<ChildProcess>> ChildProcess::start(
    Log log, uint64_t step_limit_ns) {
  TSR_ASSIGN_OR_RETURN(SocketPair calls, make_sockets(SOCK_STREAM));
  TSR_ASSIGN_OR_RETURN(SocketPair lines, make_sockets(SOCK_SEQPACKET));
  TSR_ASSIGN_OR_RETURN(Mailbox mailbox, Mailbox::create());
  std::shared_ptr<ChildProcess> child(
      new ChildProcess(std::move(calls.here), std::move(lines.here),
                       std::move(mailbox), std::move(log), step_limit_ns));
  std::promise<Status> started;
  std::future<Status> status = started.get_future();
  child->watcher_ =
      std::thread([process = child.get(), socket = std::move(calls.there),
                   lines_socket = std::move(lines.there),
                   promise = std::move(started)]() mutable {
        process->run(std::move(socket), std::move(lines_socket),
                     std::move(promise));
      });
  TSR_RETURN_IF_ERROR(status.get());
  return child;
}

ChildProcess::ChildProcess(FileDescriptor socket, FileDescriptor log_socket,
                           Mailbox mailbox, Log log, uint64_t step_limit_ns)
    : socket_(std::move(socket)),
      log_socket_(std::move(log_socket)),
      mailbox_(std::move(mailbox)),
      step_limit_ns_(step_limit_ns),
      stop_fd_(eventfd(0, EFD_CLOEXEC)),
      log_(std::move(log)) {}

void ChildProcess::run(FileDescriptor socket, FileDescriptor log_socket,
                       std::promise<Status> started) {
  const FileDescriptor mailbox(
      fcntl(mailbox_.fd(), F_DUPFD_CLOEXEC, kFirstFree));
  const Result<pid_t> pid =
      spawn(executable_folder() + "/tessera-plugin-child", socket.get(),
            log_socket.get(), mailbox.get());
  // Only the child has its ends from here on, so that they close with it.
  socket = FileDescriptor();
  log_socket = FileDescriptor();
  if (!pid.ok()) {
    dead_ = true;
    started.set_value(pid.status());
    return;
  }
  pid_ = *pid;
  pid_fd_ = FileDescriptor(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  started.set_value({});
  watch_child();
  end();
}

ChildProcess::~ChildProcess() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written =
      write(stop_fd_.get(), &one, sizeof(one));
  watcher_.join();
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

void ChildProcess::watch_child() {
  for (;;) {
    pollfd events[] = {{stop_fd_.get(), POLLIN, 0},
                       {log_socket_.get(), POLLIN, 0},
                       {pid_fd_.get(), POLLIN, 0},
                       {socket_.get(), POLLRDHUP, 0}};
    if (poll(events, std::size(events), -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
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

void ChildProcess::declare_dead(const std::string& cause) {
  const std::lock_guard<std::mutex> lock(death_mutex_);
  if (dead_) return;
  // It closed its socket, ended or hangs; nothing more comes from it.
  kill(pid_, SIGKILL);
  int status = 0;
  cause_ = waitpid(pid_, &status, 0) == pid_ ? describe_end(status) : "ended";
  if (!cause.empty()) cause_ = cause;
  dead_ = true;
  shutdown(socket_.get(), SHUT_RDWR);
  mailbox_.wake();
  for (tsr_timeline* cell : timelines_) {
    signal_timeline(*cell, UINT64_MAX, TSR_INTERNAL);
  }
}

RemoteCall::RemoteCall(ChildProcess& child, CallId id)
    : child_(child),
      limit_ns_(may_take_long(id) ? std::max(kCallLimitNs, child.step_limit_ns_)
                                  : child.step_limit_ns_),
      lock_(child.call_mutex_) {
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
  const int socket = child_.socket_.get();
  Arrival arrival = Arrival::kGone;
  if (!child_.dead_ && child_.mailbox_.send(socket, child_.request_)) {
    arrival =
        child_.mailbox_.receive(socket, limit_ns_, child_.dead_, child_.reply_);
  }
  if (arrival == Arrival::kMessage) {
    const auto code = results().get<int64_t>();
    const auto error = results().get<tsr_error>();
    if (results().ok()) {
      if (err != nullptr) sdk::detail::copy_out(error, err);
      return static_cast<tsr_status>(code);
    }
  }
  child_.declare_dead(arrival == Arrival::kLate ? hang_text(limit_ns_) : "");
  const std::lock_guard<std::mutex> lock(child_.death_mutex_);
  return fail_call(err, TSR_INTERNAL, TSR_DEVICE_LOST,
                   "the plugin's process " + child_.cause_);
}

}  // namespace tessera
