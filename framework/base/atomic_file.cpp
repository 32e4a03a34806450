// SPDX-License-Identifier: Apache-2.0

#include "framework/base/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tessera {
namespace {

Status failure(const std::string& path) {
  return {TSR_FAILED_PRECONDITION,
          "write " + path + ": " + std::strerror(errno)};
}

bool write_all(int fd, std::string_view contents) {
  while (!contents.empty()) {
    const ssize_t written = write(fd, contents.data(), contents.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    contents.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// Of a device or a pipe, as of /dev/null: a file would take its place.
bool is_no_file(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) &&
         !S_ISDIR(info.st_mode);
}

Status write_through(const std::string& path, std::string_view contents) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return failure(path);
  const bool written = write_all(fd, contents);
  return close(fd) == 0 && written ? Status() : failure(path);
}

}  // namespace

Status write_file_atomically(const std::string& path,
                             std::string_view contents) {
  if (is_no_file(path)) return write_through(path, contents);
  std::string temporary = path + ".XXXXXX";
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return failure(path);
  // mkostemp makes 0600; an ordinary output file is 0666 less the umask.
  const mode_t mask = umask(0);
  umask(mask);
  const bool written = fchmod(fd, 0666 & ~mask) == 0 &&
                       write_all(fd, contents) && fsync(fd) == 0;
  if (close(fd) != 0 || !written ||
      std::rename(temporary.c_str(), path.c_str()) != 0) {
    Status status = failure(path);
    unlink(temporary.c_str());
    return status;
  }
  return {};
}

}  // namespace tessera
