// SPDX-License-Identifier: Apache-2.0

#include "framework/host/remote/wire.hpp"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <utility>

namespace tessera {
namespace {

constexpr size_t kAlignment = 8;
constexpr size_t kMaxFds = 4;
// More than any program has; a larger count is nonsense.
constexpr uint64_t kMaxMessageBytes = uint64_t{256} << 20;

struct MessageHead {
  uint64_t bytes;
  uint64_t num_fds;
};

constexpr uint64_t round_up(uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Room for the descriptors beside a message.
union Control {
  cmsghdr head;
  char bytes[CMSG_SPACE(kMaxFds * sizeof(int))];
};

bool send_all(int socket, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(sent));
  }
  return true;
}

bool receive_all(int socket, std::byte* data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t received = recv(socket, data, bytes, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false;
    data += received;
    bytes -= static_cast<size_t>(received);
  }
  return true;
}

// The descriptors travel with the head, which is too small to be cut.
bool send_head(int socket, MessageHead head, std::span<const int> fds) {
  iovec part{&head, sizeof(head)};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  Control control{};
  if (!fds.empty()) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == sizeof(head);
}

void take_fds(msghdr& message, std::vector<FileDescriptor>& out_fds) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
      out_fds.emplace_back(fd);
    }
  }
}

bool receive_head(int socket, MessageHead* out_head,
                  std::vector<FileDescriptor>& out_fds) {
  iovec part{out_head, sizeof(*out_head)};
  Control control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof(control.bytes);
  ssize_t received = 0;
  do {
    received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return false;
  take_fds(message, out_fds);
  return received == sizeof(*out_head) && out_head->bytes <= kMaxMessageBytes &&
         out_head->num_fds == out_fds.size();
}

}  // namespace

void WireWriter::clear() {
  bytes_.clear();
  fds_.clear();
}

void WireWriter::append(const void* data, size_t bytes) {
  const size_t at = bytes_.size();
  bytes_.resize(at + round_up(bytes));
  if (bytes != 0) std::memcpy(bytes_.data() + at, data, bytes);
}

void WireWriter::put_bytes(std::span<const std::byte> bytes) {
  put(uint64_t{bytes.size()});
  append(bytes.data(), bytes.size());
}

void WireWriter::put_raw(std::span<const std::byte> bytes) {
  append(bytes.data(), bytes.size());
}

size_t WireWriter::reserve(size_t bytes) {
  const size_t at = bytes_.size();
  bytes_.resize(at + round_up(bytes));
  return at;
}

void WireWriter::fill(size_t at, const void* data, size_t bytes) {
  std::memcpy(bytes_.data() + at, data, bytes);
}

void WireWriter::put_text(std::string_view text) {
  put_bytes(std::as_bytes(std::span(text)));
}

std::byte* WireReader::reset(size_t bytes) {
  bytes_.resize(bytes);
  at_ = 0;
  fds_.clear();
  next_fd_ = 0;
  ok_ = true;
  return bytes_.data();
}

const std::byte* WireReader::take(uint64_t bytes) {
  const uint64_t left = bytes_.size() - at_;
  if (!ok_ || bytes > left || round_up(bytes) > left) {
    ok_ = false;
    return nullptr;
  }
  const std::byte* data = bytes_.data() + at_;
  at_ += round_up(bytes);
  return data;
}

std::span<const std::byte> WireReader::get_bytes() {
  const auto bytes = get<uint64_t>();
  const std::byte* data = take(bytes);
  return data == nullptr ? std::span<const std::byte>()
                         : std::span<const std::byte>(data, bytes);
}

std::string WireReader::get_text() {
  const std::span<const std::byte> bytes = get_bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

FileDescriptor WireReader::get_fd() {
  if (next_fd_ < fds_.size()) return std::move(fds_[next_fd_++]);
  ok_ = false;
  return FileDescriptor();
}

bool send_message(int socket, const WireWriter& message) {
  const MessageHead head = {message.bytes().size(), message.fds().size()};
  return message.fds().size() <= kMaxFds &&
         message.bytes().size() <= kMaxMessageBytes &&
         send_head(socket, head, message.fds()) &&
         send_all(socket, message.bytes());
}

bool receive_message(int socket, WireReader& message) {
  MessageHead head{};
  std::vector<FileDescriptor> fds;
  if (!receive_head(socket, &head, fds)) return false;
  std::byte* bytes = message.reset(head.bytes);
  for (FileDescriptor& fd : fds) message.add_fd(std::move(fd));
  return receive_all(socket, bytes, head.bytes);
}

}  // namespace tessera
