// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/child.hpp"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "framework/conformance/kit/trial/guarded_memory.hpp"
#include "framework/host/loading/negotiate.hpp"

namespace tessera::conformance {
namespace {

// Milliseconds that a child has to end after it closed its pipe.
constexpr int kEndPolls = 2000;

// For the signal handler of the child.
int fault_pipe = -1;  // NOLINT(*-non-const-global-variables)

void write_all(int fd, const char* text, size_t length) {
  while (length > 0) {
    const ssize_t count = write(fd, text, length);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    text += count;
    length -= static_cast<size_t>(count);
  }
}

void report_fault(int number, siginfo_t* info, void* /*context*/) {
  std::array<char, 160> what{};
  if (number == SIGSEGV || number == SIGBUS) {
    describe_fault(info->si_addr, what.data(), what.size());
  }
  std::array<char, 200> line{};
  const int length =
      std::snprintf(line.data(), line.size(), "\nfault %s\n", what.data());
  if (length > 0) {
    write_all(fault_pipe, line.data(), static_cast<size_t>(length));
  }
  signal(number, SIG_DFL);
  raise(number);
}

void catch_faults(int pipe) {
  fault_pipe = pipe;
  static std::array<char, 65536> stack;
  stack_t alternate{};
  alternate.ss_sp = stack.data();
  alternate.ss_size = stack.size();
  sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_sigaction = report_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    sigaction(number, &action, nullptr);
  }
}

void limit_resources() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  if (host_sanitizer() != TSR_SANITIZER_NONE) return;
  const rlim_t bytes = KitChild::memory_limit();
  const rlimit memory{bytes, bytes};
  setrlimit(RLIMIT_DATA, &memory);
}

// What a plugin throws across the boundary must end here, and not in a copy of
// the parent's code.
[[noreturn]] void run_child(
    int pipe, const std::function<void(const LineWriter&)>& body) noexcept {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  limit_resources();
  catch_faults(pipe);
  // What a plugin prints must not mix with a report.
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null >= 0) dup2(null, STDOUT_FILENO);
  if (null >= 0) dup2(null, STDERR_FILENO);
  body([pipe](const std::string& text) {
    std::string line = text;
    std::replace(line.begin(), line.end(), '\n', ' ');
    line += '\n';
    write_all(pipe, line.data(), line.size());
  });
  write_all(pipe, "end\n", 4);
  _exit(0);
}

}  // namespace

std::string value_of(const std::string& line, const std::string& key) {
  const bool has = line.rfind(key + " ", 0) == 0;
  return has ? line.substr(key.size() + 1) : "";
}

uint64_t KitChild::memory_limit() {
  constexpr uint64_t kMost = uint64_t{16} << 30;
  const auto pages = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES));
  const auto page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return std::min(kMost, pages * page_bytes / 4 * 3);
}

Result<KitChild> KitChild::start(
    const std::function<void(const LineWriter&)>& body) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return Status(TSR_RESOURCE_EXHAUSTED, "no pipe for a child process");
  }
  FileDescriptor reading(ends[0]);
  FileDescriptor writing(ends[1]);
  std::fflush(nullptr);  // or the child writes it again
  const pid_t pid = fork();
  if (pid < 0) {
    return Status(TSR_RESOURCE_EXHAUSTED,
                  std::string("no child process: ") + strerror(errno));
  }
  if (pid == 0) {
    reading = FileDescriptor();
    run_child(writing.get(), body);
  }
  return KitChild(pid, std::move(reading));
}

KitChild::KitChild(KitChild&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pipe_(std::move(other.pipe_)),
      pending_(std::move(other.pending_)),
      late_(other.late_) {}

KitChild::~KitChild() { finish(); }

KitChild::Read KitChild::try_line(std::string& line) {
  for (;;) {
    const size_t end = pending_.find('\n');
    if (end != std::string::npos) {
      line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      if (line.empty()) continue;
      return Read::kLine;
    }
    pollfd wanted{pipe_.get(), POLLIN, 0};
    if (poll(&wanted, 1, 0) <= 0) return Read::kNothingYet;
    std::array<char, 4096> chunk{};
    const ssize_t count = read(pipe_.get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Read::kClosed;
    pending_.append(chunk.data(), static_cast<size_t>(count));
  }
}

std::optional<std::string> KitChild::read_line(double seconds) {
  using Seconds = std::chrono::duration<double>;
  const auto begin = std::chrono::steady_clock::now();
  std::string line;
  for (;;) {
    const Read found = try_line(line);
    if (found == Read::kLine) return line;
    if (found == Read::kClosed) return std::nullopt;
    const Seconds spent = std::chrono::steady_clock::now() - begin;
    if (spent.count() >= seconds) {
      give_up();
      return std::nullopt;
    }
    wait_for_any({this}, seconds - spent.count());
  }
}

void KitChild::wait_for_any(const std::vector<const KitChild*>& children,
                            double seconds) {
  std::vector<pollfd> wanted;
  wanted.reserve(children.size());
  for (const KitChild* child : children) {
    wanted.push_back({child->pipe_.get(), POLLIN, 0});
  }
  // Rounded up: a wait of no time would be taken again and again.
  const double milliseconds = std::clamp(std::ceil(1e3 * seconds), 0.0, 1e9);
  poll(wanted.data(), wanted.size(), static_cast<int>(milliseconds));
}

std::string KitChild::finish() {
  if (pid_ < 0) return "";
  // A child that closed its pipe is about to end by itself; one whose lines
  // nobody wants any more is not.
  int status = 0;
  pid_t done = 0;
  for (int i = 0; i < kEndPolls && !late_ && done == 0; ++i) {
    pollfd closed{pipe_.get(), 0, 0};
    poll(&closed, 1, 0);
    if ((closed.revents & POLLHUP) == 0) break;
    done = waitpid(pid_, &status, WNOHANG);
    if (done == 0) usleep(1000);
  }
  if (done == 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, &status, 0);
  }
  pid_ = -1;
  if (WIFSIGNALED(status)) {
    return fmt::format("signal {} ({})", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
    return fmt::format("exit code {}", WEXITSTATUS(status));
  }
  return "";
}

}  // namespace tessera::conformance
