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
  return fsync(fd) == 0;
}

}  // namespace

Status write_file_atomically(const std::string& path,
                             std::string_view contents) {
  std::string temporary = path + ".XXXXXX";
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return failure(path);
  // mkostemp makes 0600; an ordinary output file is 0666 less the umask.
  const mode_t mask = umask(0);
  umask(mask);
  const bool written = fchmod(fd, 0666 & ~mask) == 0 && write_all(fd, contents);
  if (close(fd) != 0 || !written ||
      std::rename(temporary.c_str(), path.c_str()) != 0) {
    Status status = failure(path);
    unlink(temporary.c_str());
    return status;
  }
  return {};
}

}  // namespace tessera
