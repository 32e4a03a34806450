// SPDX-License-Identifier: Apache-2.0

#include "framework/host/trust/trust.hpp"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <utility>
#include <vector>

namespace tessera {
namespace {

Status distrust(const std::string& path, const struct stat& info,
                const char* why) {
  return {TSR_FAILED_PRECONDITION,
          fmt::format("{} {} (owner {}, mode {:04o})", path, why, info.st_uid,
                      info.st_mode & 07777u)};
}

// The name of user `uid` and their group; empty if there is none.
std::string user_name(uid_t uid, gid_t* out_group) {
  std::vector<char> storage(16384);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, storage.data(), storage.size(), &found) != 0 ||
      found == nullptr) {
    return "";
  }
  *out_group = entry.pw_gid;
  return entry.pw_name;
}

// True for the group that many systems make for each user: it has the user's
// name and no other member.
bool is_private_group(gid_t group_id, uid_t uid) {
  gid_t users_group = 0;
  const std::string user = user_name(uid, &users_group);
  if (user.empty() || users_group != group_id) return false;
  std::vector<char> storage(16384);
  group entry{};
  group* found = nullptr;
  if (getgrgid_r(group_id, &entry, storage.data(), storage.size(), &found) !=
          0 ||
      found == nullptr || user != entry.gr_name) {
    return false;
  }
  for (char** member = entry.gr_mem; *member != nullptr; ++member) {
    if (user != *member) return false;
  }
  return true;
}

bool others_may_write(const struct stat& info) {
  if ((info.st_mode & S_IWOTH) != 0) return true;
  return (info.st_mode & S_IWGRP) != 0 && info.st_gid != 0 &&
         !is_private_group(info.st_gid, info.st_uid);
}

Status check_owner(const std::string& path, const struct stat& info) {
  if (info.st_uid == 0 || info.st_uid == geteuid()) return {};
  return distrust(path, info, "belongs to neither root nor this user");
}

Status check_entry(const std::string& path, const struct stat& info) {
  TSR_RETURN_IF_ERROR(check_owner(path, info));
  if (!others_may_write(info)) return {};
  return distrust(path, info, "may be written by others");
}

Status check_folder(const std::string& path, bool sticky_will_do) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return {TSR_NOT_FOUND, path + ": " + std::strerror(errno)};
  }
  // In a sticky folder others may add entries, but not exchange ours.
  if (sticky_will_do && (info.st_mode & S_ISVTX) != 0) {
    return check_owner(path, info);
  }
  return check_entry(path, info);
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool leads_to(const std::string& folder, const std::string& path) {
  if (folder == "/") return true;
  return path == folder || path.rfind(folder + "/", 0) == 0;
}

Status check_folders(const std::string& path) {
  const std::string own_folder = executable_folder();
  std::string folder = parent_of(path);
  TSR_RETURN_IF_ERROR(check_folder(folder, false));
  while (folder != "/") {
    folder = parent_of(folder);
    if (leads_to(folder, own_folder)) return {};
    TSR_RETURN_IF_ERROR(check_folder(folder, true));
  }
  return {};
}

Result<std::string> resolve(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) {
    return Status(TSR_NOT_FOUND, path + ": " + std::strerror(errno));
  }
  std::string result = resolved;
  free(resolved);
  return result;
}

}  // namespace

std::string executable_folder() {
  static const std::string folder = [] {
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
    if (length <= 0 || path[0] != '/') return std::string();
    return parent_of(std::string(path, static_cast<size_t>(length)));
  }();
  return folder;
}

Result<TrustedFile> open_trusted(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(std::string resolved, resolve(path));
  TSR_RETURN_IF_ERROR(check_folders(resolved));
  // A FIFO must not make the open wait.
  FileDescriptor fd(
      open(resolved.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.is_open()) {
    return Status(TSR_NOT_FOUND, resolved + ": " + std::strerror(errno));
  }
  struct stat info {};
  if (fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return distrust(resolved, info, "is not a regular file");
  }
  TSR_RETURN_IF_ERROR(check_entry(resolved, info));
  return TrustedFile{std::move(resolved), std::move(fd)};
}

}  // namespace tessera
