// SPDX-License-Identifier: Apache-2.0

#include "framework/host/remote/child_server.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "framework/host/device/device_facts.hpp"
#include "framework/host/device/plugin_error.hpp"
#include "framework/host/remote/child_limits.hpp"
#include "framework/host/remote/child_process.hpp"
#include "framework/host/remote/wire_structs.hpp"

namespace tessera {
namespace {

// A line that does not fit into the socket is lost: a plugin never waits for
// its log.
void send_line(int socket, uint32_t level, std::string_view text) {
  struct {
    uint64_t level;
    char text[kMaxLogBytes];
  } line{};
  line.level = level;
  const size_t length = std::min<size_t>(text.size(), kMaxLogBytes);
  std::memcpy(line.text, text.data(), length);
  [[maybe_unused]] const ssize_t sent = send(
      socket, &line, sizeof(line.level) + length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

tsr_status fail_with(tsr_error* err, const Status& status) {
  return fail_call(err, status.code(), TSR_RETRY_NEVER, status.message());
}

tsr_status fail_short_message(tsr_error* err) {
  return fail_call(err, TSR_INVALID_ARGUMENT, TSR_RETRY_NEVER,
                   "the call's message is cut short");
}

// In the order of CallId.
const ChildServer::Handler ChildServer::kHandlers[] = {
    &ChildServer::load,
    &ChildServer::device_open,
    &ChildServer::device_close,
    &ChildServer::check,
    &ChildServer::estimate,
    &ChildServer::buffer_create,
    &ChildServer::buffer_import,
    &ChildServer::buffer_flush,
    &ChildServer::buffer_invalidate,
    &ChildServer::buffer_destroy,
    &ChildServer::weight_query,
    &ChildServer::packing_begin,
    &ChildServer::packing_slice,
    &ChildServer::packing_end,
    &ChildServer::weight_create,
    &ChildServer::weight_destroy,
    &ChildServer::kv_query,
    &ChildServer::kv_create,
    &ChildServer::kv_destroy,
    &ChildServer::program_create,
    &ChildServer::program_segment,
    &ChildServer::program_destroy,
    &ChildServer::timeline_import,
    &ChildServer::timeline_forget,
    &ChildServer::queue_create,
    &ChildServer::queue_submit,
    &ChildServer::queue_destroy,
    &ChildServer::profile_read,
    &ChildServer::device_last_error,
    &ChildServer::device_ask,
};

void ChildServer::run() {
  std::thread(&ChildServer::wait_for_end, this).detach();
  while (mailbox_.receive(socket_, UINT64_MAX, host_gone_, request_) ==
         Arrival::kMessage) {
    serve(request_.get<CallId>());
    if (!mailbox_.send(socket_, reply_)) return;
  }
}

// The plugin may be in a call that never returns.
void ChildServer::wait_for_end() {
  constexpr unsigned kGraceMicroseconds = 1'000'000;
  pollfd line{socket_, POLLRDHUP, 0};
  while (poll(&line, 1, -1) <= 0) {
  }
  host_gone_ = true;
  mailbox_.wake();
  usleep(kGraceMicroseconds);
  _exit(0);
}

// A reply begins with what is known only at its end.
void ChildServer::serve(CallId id) {
  static_assert(std::size(kHandlers) == static_cast<size_t>(CallId::kCount));
  ErrorSlot error;
  reply_.clear();
  const size_t at_status = reply_.reserve(sizeof(int64_t));
  const size_t at_error = reply_.reserve(sizeof(tsr_error));
  const bool known = id < CallId::kCount && (plugin_ || id == CallId::kLoad);
  const int64_t code =
      known ? (this->*kHandlers[static_cast<size_t>(id)])(&error)
            : fail_call(&error, TSR_UNIMPLEMENTED, TSR_RETRY_NEVER,
                        "the child does not know this call");
  const tsr_error plain = error;
  reply_.fill(at_status, &code, sizeof(code));
  reply_.fill(at_error, &plain, sizeof(plain));
}

tsr_status ChildServer::load(tsr_error* err) {
  HostOptions options;
  const std::string manifest_path = request_.get_text();
  options.cache_root = request_.get_text();
  options.num_threads = static_cast<uint32_t>(request_.get<uint64_t>());
  for (auto count = request_.get<uint64_t>(); count > 0 && request_.ok();
       --count) {
    options.requested_devices.push_back(request_.get_text());
  }
  const int log_socket = log_socket_;
  Result<std::shared_ptr<Plugin>> plugin =
      Status(TSR_FAILED_PRECONDITION, "the child has a plugin already");
  const bool sandboxed = request_.get<uint64_t>() != 0;
  const Status limited = sandboxed && !plugin_ ? enter_sandbox() : Status();
  if (!limited.ok()) plugin = limited;
  if (!plugin_ && limited.ok()) {
    options.log = [log_socket](uint32_t level, std::string_view text) {
      send_line(log_socket, level, text);
    };
    plugin = Plugin::load(manifest_path, options);
  }
  Result<std::vector<DeviceFacts>> devices =
      plugin.ok() ? read_devices((*plugin)->api(), (*plugin)->name())
                  : Result<std::vector<DeviceFacts>>(plugin.status());
  if (!devices.ok()) {
    reply_.put_text(devices.status().message());
    return fail_with(err, devices.status());
  }
  plugin_ = std::move(*plugin);
  reply_.put_text(plugin_->name());
  reply_.put_text(plugin_->version());
  reply_.put_text(plugin_->build_id());
  reply_.put(uint64_t{plugin_->flags()});
  reply_.put(uint64_t{plugin_->abi_version()});
  reply_.put_text(plugin_->path());
  reply_.put_text(plugin_->sha256());
  reply_.put(uint64_t{devices->size()});
  for (const DeviceFacts& facts : *devices) put_device_facts(reply_, facts);
  return TSR_OK;
}

tsr_status ChildServer::device_open(tsr_error* err) {
  const auto index = static_cast<uint32_t>(request_.get<uint64_t>());
  WireOptions options;
  get_options(request_, options);
  const tsr_array array = options.array();
  tsr_device* device = nullptr;
  const tsr_status code = api().device_open(index, &array, err, &device);
  if (code == TSR_OK) put_handle(device);
  return code;
}

tsr_status ChildServer::device_close(tsr_error* /*err*/) {
  auto* device = get_handle<tsr_device>();
  api().device_close(device);
  const auto is_of_device = [device](const auto& entry) {
    return entry.first.first == device;
  };
  std::erase_if(buffers_, is_of_device);
  std::erase_if(weights_, is_of_device);
  return TSR_OK;
}

tsr_status ChildServer::buffer_create(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  tsr_buffer_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.id = request_.get<uint64_t>();
  desc.memory_kind = static_cast<uint32_t>(request_.get<uint64_t>());
  desc.bytes = request_.get<uint64_t>();
  const bool shared = request_.get<uint64_t>() != 0;
  if (!request_.ok()) return fail_short_message(err);
  if (!shared) return api().buffer_create(device, &desc, err);
  Result<SharedMemory> memory =
      SharedMemory::map(request_.get_fd(), desc.bytes);
  if (!memory.ok()) return fail_with(err, memory.status());
  memory->close_fd();
  const tsr_status code =
      api().buffer_import(device, &desc, TSR_HANDLE_HOST_POINTER,
                          reinterpret_cast<uint64_t>(memory->data()), err);
  if (code == TSR_OK) {
    buffers_.insert_or_assign({device, desc.id}, std::move(*memory));
  }
  return code;
}

tsr_status ChildServer::buffer_import(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  tsr_buffer_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.id = request_.get<uint64_t>();
  desc.memory_kind = static_cast<uint32_t>(request_.get<uint64_t>());
  desc.bytes = request_.get<uint64_t>();
  const auto type = static_cast<uint32_t>(request_.get<uint64_t>());
  const FileDescriptor fd = request_.get_fd();
  if (!request_.ok()) return fail_short_message(err);
  return api().buffer_import(device, &desc, type,
                             static_cast<uint64_t>(fd.get()), err);
}

tsr_status ChildServer::buffer_flush(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  const auto buffer = request_.get<uint64_t>();
  const auto offset = request_.get<uint64_t>();
  return api().buffer_flush(device, buffer, offset, request_.get<uint64_t>(),
                            err);
}

tsr_status ChildServer::buffer_invalidate(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  const auto buffer = request_.get<uint64_t>();
  const auto offset = request_.get<uint64_t>();
  return api().buffer_invalidate(device, buffer, offset,
                                 request_.get<uint64_t>(), err);
}

tsr_status ChildServer::buffer_destroy(tsr_error* /*err*/) {
  auto* device = get_handle<tsr_device>();
  const auto buffer = request_.get<uint64_t>();
  api().buffer_destroy(device, buffer);
  buffers_.erase({device, buffer});
  return TSR_OK;
}

// Timelines of one file share a mapping, which stays.
tsr_status ChildServer::timeline_import(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  const auto id = request_.get<uint64_t>();
  const auto bytes = request_.get<uint64_t>();
  const auto offset = request_.get<uint64_t>();
  FileDescriptor fd = request_.get_fd();
  struct stat info {};
  if (!request_.ok() || fstat(fd.get(), &info) != 0 ||
      bytes < sizeof(tsr_timeline) || offset % sizeof(tsr_timeline) != 0 ||
      offset > bytes - sizeof(tsr_timeline)) {
    return fail_short_message(err);
  }
  auto found = timelines_.find(info.st_ino);
  if (found == timelines_.end()) {
    Result<SharedMemory> memory = SharedMemory::map(std::move(fd), bytes);
    if (!memory.ok()) return fail_with(err, memory.status());
    // The descriptor stays open, so that its number means this file.
    found = timelines_.emplace(info.st_ino, std::move(*memory)).first;
  }
  auto* cell = reinterpret_cast<tsr_timeline*>(found->second.data() + offset);
  return api().timeline_import(device, id, cell, err);
}

tsr_status ChildServer::timeline_forget(tsr_error* /*err*/) {
  auto* device = get_handle<tsr_device>();
  api().timeline_forget(device, request_.get<uint64_t>());
  return TSR_OK;
}

tsr_status ChildServer::device_last_error(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  ErrorSlot last;
  const tsr_status code = api().device_last_error(device, &last);
  if (code != TSR_OK) {
    *err = last;
    return code;
  }
  reply_.put(static_cast<const tsr_error&>(last));
  return TSR_OK;
}

tsr_status ChildServer::device_ask(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  const std::string extension = request_.get_text();
  const std::string question = request_.get_text();
  const auto capacity = request_.get<uint64_t>();
  if (!request_.ok() || capacity > kMaxReplyBytes) {
    return fail_short_message(err);
  }
  std::string reply(capacity, '\0');
  tsr_ask ask{};
  ask.struct_size = sizeof(ask);
  ask.extension = extension.c_str();
  ask.request = question.data();
  ask.request_bytes = question.size();
  ask.reply = reply.data();
  ask.capacity = capacity;
  const tsr_status code = api().device_ask(device, &ask, err);
  if (code != TSR_OK) return code;
  reply.resize(std::min(ask.reply_bytes, capacity));
  reply_.put(ask.reply_bytes);
  reply_.put_text(reply);
  return TSR_OK;
}

}  // namespace tessera
