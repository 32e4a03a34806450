// SPDX-License-Identifier: Apache-2.0

#include "framework/host/remote/child_server.hpp"

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "framework/host/device_facts.hpp"
#include "framework/host/plugin_error.hpp"
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

tsr_status fail(tsr_error* err, const Status& status) {
  return fail_call(err, status.code(), TSR_RETRY_NEVER, status.message());
}

tsr_status fail_short(tsr_error* err) {
  return fail_call(err, TSR_INVALID_ARGUMENT, TSR_RETRY_NEVER,
                   "the call's message is cut short");
}

// A record of at least `Head`'s size, as it lies in the message; null if it is
// shorter, or than it says.
template <typename Head>
const Head* record_in(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(Head)) return nullptr;
  const auto* head = reinterpret_cast<const Head*>(bytes.data());
  return head->record_bytes == bytes.size() ? head : nullptr;
}

}  // namespace

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
};

void ChildServer::run() {
  while (receive_message(socket_, request_)) {
    serve(request_.get<CallId>());
    if (!send_message(socket_, reply_)) return;
  }
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
  const int log_socket = log_socket_;
  Result<std::shared_ptr<Plugin>> plugin =
      Status(TSR_FAILED_PRECONDITION, "the child has a plugin already");
  if (!plugin_) {
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
    return fail(err, devices.status());
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

// ---- Devices and buffers ---------------------------------------------------

tsr_status ChildServer::device_open(tsr_error* err) {
  const auto index = static_cast<uint32_t>(request_.get<uint64_t>());
  std::vector<std::pair<std::string, std::string>> texts;
  for (auto count = request_.get<uint64_t>(); count > 0 && request_.ok();
       --count) {
    std::string key = request_.get_text();
    texts.emplace_back(std::move(key), request_.get_text());
  }
  std::vector<tsr_option_value> values;
  for (const auto& [key, value] : texts) {
    values.push_back({sizeof(tsr_option_value), 0, key.c_str(), value.c_str()});
  }
  const tsr_array array = {values.data(), static_cast<uint32_t>(values.size()),
                           sizeof(tsr_option_value)};
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
  if (!request_.ok()) return fail_short(err);
  if (!shared) return api().buffer_create(device, &desc, err);
  Result<SharedMemory> memory =
      SharedMemory::map(request_.get_fd(), desc.bytes);
  if (!memory.ok()) return fail(err, memory.status());
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
  if (!request_.ok()) return fail_short(err);
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
    return fail_short(err);
  }
  auto found = timelines_.find(info.st_ino);
  if (found == timelines_.end()) {
    Result<SharedMemory> memory = SharedMemory::map(std::move(fd), bytes);
    if (!memory.ok()) return fail(err, memory.status());
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

// ---- Programs and queues ---------------------------------------------------

namespace {

// What check and estimate are asked about.
struct Question {
  const tsr_program_desc* program = nullptr;
  std::deque<WireWeight> storage;  // stay where they are
  WireExtensions nodes;
  std::vector<tsr_weight_desc> weights;
  std::vector<tsr_kv_desc> kv_pools;

  tsr_array weight_array() const {
    return {weights.data(), static_cast<uint32_t>(weights.size()),
            sizeof(tsr_weight_desc)};
  }
  tsr_array kv_array() const {
    return {kv_pools.data(), static_cast<uint32_t>(kv_pools.size()),
            sizeof(tsr_kv_desc)};
  }
};

bool get_question(WireReader& reader, Question& question) {
  question.program = record_in<tsr_program_desc>(reader.get_bytes());
  for (auto count = reader.get<uint64_t>(); count > 0 && reader.ok(); --count) {
    WireWeight& weight = question.storage.emplace_back();
    if (!get_weight_desc(reader, nullptr, 0, &weight)) return false;
    question.weights.push_back(weight.desc);
  }
  for (auto count = reader.get<uint64_t>(); count > 0 && reader.ok(); --count) {
    question.kv_pools.push_back(get_kv_desc(reader, question.nodes));
  }
  return reader.ok() && question.program != nullptr;
}

// Each of `structs` with its own size filled in.
template <typename Struct>
std::vector<Struct> make_structs(uint64_t count) {
  constexpr uint64_t kMost = 65536;
  std::vector<Struct> structs(std::min(count, kMost));
  for (Struct& value : structs) value.struct_size = sizeof(value);
  return structs;
}

// The true number, then those there is room for.
template <typename Struct>
void put_structs(WireWriter& writer, const std::vector<Struct>& structs,
                 uint32_t count) {
  const uint64_t filled = std::min<uint64_t>(count, structs.size());
  writer.put(uint64_t{count});
  writer.put(filled);
  for (uint64_t i = 0; i < filled; ++i) writer.put(structs[i]);
}

}  // namespace

tsr_status ChildServer::check(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  Question question;
  if (!get_question(request_, question)) return fail_short(err);
  auto refusals = make_structs<tsr_refusal>(request_.get<uint64_t>());
  const tsr_array weights = question.weight_array();
  const tsr_array kv_pools = question.kv_array();
  uint32_t count = 0;
  const tsr_status code = api().check(
      device, question.program, &weights, &kv_pools, err, refusals.data(),
      static_cast<uint32_t>(refusals.size()), sizeof(tsr_refusal), &count);
  put_structs(reply_, refusals, count);
  return code;
}

tsr_status ChildServer::estimate(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  Question question;
  if (!get_question(request_, question)) return fail_short(err);
  auto step = request_.get<tsr_step_shape>();
  step.struct_size = sizeof(step);
  const tsr_array weights = question.weight_array();
  const tsr_array kv_pools = question.kv_array();
  tsr_estimate estimate{};
  estimate.struct_size = sizeof(estimate);
  const tsr_status code = api().estimate(device, question.program, &weights,
                                         &kv_pools, &step, err, &estimate);
  reply_.put(estimate);
  return code;
}

tsr_status ChildServer::program_create(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  const auto* program = record_in<tsr_program_desc>(request_.get_bytes());
  if (program == nullptr) return fail_short(err);
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  const tsr_status code = api().program_create(device, program, err, &info);
  reply_.put(info);
  return code;
}

tsr_status ChildServer::program_segment(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  const auto program = request_.get<uint64_t>();
  const auto index = static_cast<uint32_t>(request_.get<uint64_t>());
  tsr_segment segment{};
  segment.struct_size = sizeof(segment);
  const tsr_status code =
      api().program_segment(device, program, index, err, &segment);
  reply_.put(segment);
  return code;
}

tsr_status ChildServer::program_destroy(tsr_error* /*err*/) {
  auto* device = get_handle<tsr_device>();
  api().program_destroy(device, request_.get<uint64_t>());
  return TSR_OK;
}

tsr_status ChildServer::queue_create(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  tsr_queue* queue = nullptr;
  const tsr_status code = api().queue_create(device, err, &queue);
  if (code == TSR_OK) put_handle(queue);
  return code;
}

tsr_status ChildServer::queue_submit(tsr_error* err) {
  auto* queue = get_handle<tsr_queue>();
  const auto* submission = record_in<tsr_submission>(request_.get_bytes());
  if (submission == nullptr) return fail_short(err);
  return api().queue_submit(queue, submission, err);
}

tsr_status ChildServer::queue_destroy(tsr_error* /*err*/) {
  api().queue_destroy(get_handle<tsr_queue>());
  return TSR_OK;
}

tsr_status ChildServer::profile_read(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  auto records = make_structs<tsr_kernel_record>(request_.get<uint64_t>());
  uint32_t count = 0;
  const tsr_status code = api().profile_read(
      device, err, records.data(), static_cast<uint32_t>(records.size()),
      sizeof(tsr_kernel_record), &count);
  put_structs(reply_, records, count);
  return code;
}

}  // namespace tessera
