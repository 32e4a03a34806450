// SPDX-License-Identifier: Apache-2.0
//
// Files rather than pipes: neither side waits for the other, however much they
// write.

#include "framework/cli/report/program.hpp"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace tessera::cli {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using TemporaryFile = std::unique_ptr<std::FILE, CloseFile>;

std::string read_all(std::FILE* file) {
  std::string text;
  char block[1 << 16];
  std::rewind(file);
  while (const size_t count = std::fread(block, 1, sizeof(block), file)) {
    text.append(block, count);
  }
  return text;
}

// The last line that says something.
std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) {
    text.pop_back();
  }
  const size_t begin = text.rfind('\n');
  return begin == text.npos ? text : text.substr(begin + 1);
}

// With its standard streams on the three files.  0, or an errno.
int spawn(const std::string& name, const std::vector<std::string>& arguments,
          const TemporaryFile (&files)[3], pid_t* out_child) {
  std::vector<std::string> words = {name};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int i = 0; i < 3; ++i) {
    posix_spawn_file_actions_adddup2(&actions, fileno(files[i].get()), i);
  }
  const int error = posix_spawnp(out_child, name.c_str(), &actions, nullptr,
                                 pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

Result<std::string> run_program(const std::string& name,
                                const std::vector<std::string>& arguments,
                                std::string_view input) {
  const TemporaryFile files[3] = {TemporaryFile(std::tmpfile()),
                                  TemporaryFile(std::tmpfile()),
                                  TemporaryFile(std::tmpfile())};
  for (const TemporaryFile& file : files) {
    if (file != nullptr) continue;
    return Status(TSR_RESOURCE_EXHAUSTED,
                  fmt::format("no temporary file: {}", std::strerror(errno)));
  }
  const size_t written =
      std::fwrite(input.data(), 1, input.size(), files[0].get());
  if (written != input.size() || std::fflush(files[0].get()) != 0) {
    return Status(TSR_RESOURCE_EXHAUSTED,
                  fmt::format("temporary file: {}", std::strerror(errno)));
  }
  std::rewind(files[0].get());
  pid_t child = 0;
  if (const int error = spawn(name, arguments, files, &child)) {
    return Status(TSR_NOT_FOUND,
                  fmt::format("{}: {}", name, std::strerror(error)));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    return read_all(files[1].get());
  }
  return Status(TSR_INTERNAL, fmt::format("{} failed: {}", name,
                                          last_line(read_all(files[2].get()))));
}

}  // namespace tessera::cli
