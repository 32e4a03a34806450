// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/peers/peer_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tessera::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A library may take long to load from a slow disk.
constexpr milliseconds kStartPatience{120'000};
constexpr size_t kMostUnread = size_t{1} << 20;

// The environment, with pools of that many threads.  Waiting threads of a
// halted program cost nothing, so how they wait is left to the library.
std::vector<std::string> environment(uint32_t threads) {
  std::vector<std::string> words;
  for (char** word = environ; *word != nullptr; ++word) {
    words.emplace_back(*word);
  }
  if (threads == 0) return words;
  for (const char* name : {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                           "MKL_NUM_THREADS", "POCL_MAX_PTHREAD_COUNT"}) {
    const std::string start = std::string(name) + "=";
    std::erase_if(words, [&](const auto& w) { return w.starts_with(start); });
    words.push_back(start + std::to_string(threads));
  }
  return words;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  result.reserve(words.size() + 1);
  for (std::string& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

// The process, with `socket` as its input and output and nothing else of ours.
Result<int> spawn(std::vector<std::string> words, uint32_t threads,
                  int socket) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, socket, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, socket, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null",
                                   O_WRONLY, 0);
  std::vector<std::string> variables = environment(threads);
  pid_t pid = 0;
  const int code =
      posix_spawnp(&pid, words.front().c_str(), &actions, nullptr,
                   pointers(words).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  if (code == 0) return static_cast<int>(pid);
  return Status(TSR_NOT_FOUND,
                fmt::format("{}: {}", words.front(), std::strerror(code)));
}

}  // namespace

Result<std::unique_ptr<PeerProcess>> PeerProcess::start(
    const std::vector<std::string>& words, uint32_t threads) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return Status(TSR_RESOURCE_EXHAUSTED, std::strerror(errno));
  }
  FileDescriptor ours(ends[0]);
  FileDescriptor theirs(ends[1]);
  TSR_ASSIGN_OR_RETURN(const int pid, spawn(words, threads, theirs.get()));
  std::unique_ptr<PeerProcess> process(new PeerProcess(pid, std::move(ours)));
  // Were it open here, the end of the child would go unseen.
  theirs = FileDescriptor();
  TSR_ASSIGN_OR_RETURN(process->greeting_, process->read_line(kStartPatience));
  kill(pid, SIGSTOP);
  return process;
}

PeerProcess::~PeerProcess() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

Result<nlohmann::json> PeerProcess::ask(const nlohmann::json& request,
                                        milliseconds patience) {
  kill(pid_, SIGCONT);
  const std::string line = request.dump() + "\n";
  size_t sent = 0;
  while (sent < line.size()) {
    const ssize_t count = send(socket_.get(), line.data() + sent,
                               line.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Status(TSR_UNAVAILABLE, "its program has ended");
    sent += static_cast<size_t>(count);
  }
  Result<nlohmann::json> answer = read_line(patience);
  kill(pid_, SIGSTOP);
  return answer;
}

Result<nlohmann::json> PeerProcess::read_line(milliseconds patience) {
  const Clock::time_point end = Clock::now() + patience;
  for (;;) {
    const size_t length = unread_.find('\n');
    if (length != std::string::npos) {
      auto answer = nlohmann::json::parse(unread_.substr(0, length), nullptr,
                                          /*allow_exceptions=*/false);
      unread_.erase(0, length + 1);
      if (answer.is_object()) return answer;
      return Status(TSR_UNAVAILABLE, "its program answers no JSON object");
    }
    const auto left =
        std::chrono::duration_cast<milliseconds>(end - Clock::now());
    if (left.count() <= 0 || unread_.size() > kMostUnread) {
      return Status(TSR_UNAVAILABLE, fmt::format("no answer within {} s",
                                                 patience.count() / 1000));
    }
    pollfd ready{socket_.get(), POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(left.count())) <= 0) continue;
    char bytes[4096];
    const ssize_t count = recv(socket_.get(), bytes, sizeof(bytes), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Status(TSR_UNAVAILABLE, "its program has ended");
    unread_.append(bytes, static_cast<size_t>(count));
  }
}

}  // namespace tessera::bench
