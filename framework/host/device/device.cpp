// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/device.hpp"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "framework/host/device/plugin_error.hpp"
#include "framework/host/device/weight_loader.hpp"

namespace tessera {
namespace {

constexpr uint64_t kRecordAlignment = 8;
// The longest answer that is fetched.
constexpr uint64_t kMaxReplyBytes = uint64_t{64} << 20;

template <typename Element>
tsr_array array_of(std::span<const Element> elements) {
  return {elements.data(), static_cast<uint32_t>(elements.size()),
          sizeof(Element)};
}

Result<const tsr_program_desc*> program_in(std::span<const std::byte> record) {
  const bool aligned =
      reinterpret_cast<uintptr_t>(record.data()) % kRecordAlignment == 0;
  if (record.size() < sizeof(tsr_program_desc) || !aligned) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("program: {} bytes at {}", record.size(),
                              static_cast<const void*>(record.data())));
  }
  const auto* program =
      reinterpret_cast<const tsr_program_desc*>(record.data());
  if (program->record_bytes != record.size()) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("program: record_bytes {} of {}",
                              program->record_bytes, record.size()));
  }
  return program;
}

std::vector<tsr_option_value> option_values(DeviceOptions options) {
  std::vector<tsr_option_value> values;
  for (const auto& [key, value] : options) {
    values.push_back({sizeof(tsr_option_value), 0, key.c_str(), value.c_str()});
  }
  return values;
}

}  // namespace

Result<std::shared_ptr<Device>> Device::open(std::shared_ptr<Plugin> plugin,
                                             uint32_t index,
                                             DeviceOptions options) {
  TSR_ASSIGN_OR_RETURN(std::vector<DeviceFacts> all,
                       read_devices(plugin->api(), plugin->name()));
  if (index >= all.size()) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("plugin {}: device {} of {}", plugin->name(),
                              index, all.size()));
  }
  DeviceFacts facts = std::move(all[index]);
  if (facts.info.health != TSR_OK) {
    return Status(static_cast<tsr_status>(facts.info.health),
                  facts.name + ": " + facts.info.reason);
  }
  const std::vector<tsr_option_value> values = option_values(options);
  const tsr_array array = array_of(std::span(values));
  tsr_device* handle = nullptr;
  ErrorSlot error;
  const tsr_status code =
      plugin->api().device_open(index, &array, &error, &handle);
  TSR_RETURN_IF_ERROR(plugin_status(code, error, facts.name + ": device_open"));
  return std::shared_ptr<Device>(
      new Device(std::move(plugin), std::move(facts), handle));
}

Device::Device(std::shared_ptr<Plugin> plugin, DeviceFacts facts,
               tsr_device* handle)
    : plugin_(std::move(plugin)), facts_(std::move(facts)), handle_(handle) {}

Device::~Device() { api().device_close(handle_); }

Status Device::from_plugin(tsr_status code, const tsr_error& error,
                           const char* function) {
  if (code == TSR_OK) return {};
  last_retry_.store(error.retry);
  if (error.retry == TSR_DEVICE_LOST || error.retry == TSR_PLUGIN_POISONED) {
    lost_.store(true);
  }
  return plugin_status(code, error, name() + ": " + function);
}

Status Device::explain(const Status& failure) {
  ErrorSlot error;
  const tsr_status code = api().device_last_error(handle_, &error);
  const bool said_nothing = code == TSR_OK && error.message[0] == '\0';
  if (said_nothing || code == TSR_UNIMPLEMENTED) return failure;
  return from_plugin(code == TSR_OK ? failure.code() : code, error,
                     "submitted work");
}

Result<uint32_t> Device::memory_kind_with(uint32_t flags) const {
  for (uint32_t i = 0; i < memory_kinds().size(); ++i) {
    if ((memory_kinds()[i].flags & flags) == flags) return i;
  }
  return Status(
      TSR_NOT_FOUND,
      fmt::format("{}: no memory kind with flags {:#x}", name(), flags));
}

Result<Buffer> Device::create_buffer(uint64_t bytes, uint32_t memory_kind) {
  if (memory_kind >= memory_kinds().size()) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{}: memory kind {} of {}", name(), memory_kind,
                              memory_kinds().size()));
  }
  tsr_buffer_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.memory_kind = memory_kind;
  desc.id = next_host_id();
  desc.bytes = bytes;
  ErrorSlot error;
  const tsr_status code = api().buffer_create(handle_, &desc, &error);
  TSR_RETURN_IF_ERROR(from_plugin(code, error, "buffer_create"));
  const bool coherent =
      (memory_kinds()[memory_kind].flags & TSR_MEMORY_COHERENT) != 0;
  return Buffer(
      DeviceObject(shared_from_this(), desc.id, &tsr_api::buffer_destroy),
      bytes, coherent);
}

Result<Buffer> Device::import_host(void* memory, uint64_t bytes) {
  TSR_ASSIGN_OR_RETURN(const uint32_t memory_kind,
                       memory_kind_with(TSR_MEMORY_IMPORT_HOST));
  tsr_buffer_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.memory_kind = memory_kind;
  desc.id = next_host_id();
  desc.bytes = bytes;
  ErrorSlot error;
  const tsr_status code =
      api().buffer_import(handle_, &desc, TSR_HANDLE_HOST_POINTER,
                          reinterpret_cast<uint64_t>(memory), &error);
  TSR_RETURN_IF_ERROR(from_plugin(code, error, "buffer_import"));
  const bool coherent =
      (memory_kinds()[memory_kind].flags & TSR_MEMORY_COHERENT) != 0;
  return Buffer(
      DeviceObject(shared_from_this(), desc.id, &tsr_api::buffer_destroy),
      bytes, coherent);
}

Result<tsr_packed_info> Device::query_weight(const tsr_weight_desc& desc) {
  tsr_packed_info info{};
  info.struct_size = sizeof(info);
  ErrorSlot error;
  const tsr_status code = api().weight_query(handle_, &desc, &error, &info);
  TSR_RETURN_IF_ERROR(from_plugin(code, error, "weight_query"));
  return info;
}

Result<Weight> Device::load_weight(const tsr_weight_desc& desc) {
  return WeightLoader(*this, desc).load();
}

Result<Weight> Device::load_weight(const tsr_weight_desc& desc,
                                   const SliceProducer& produce) {
  return WeightLoader(*this, desc).load(produce);
}

Result<KvPool> Device::create_kv_pool(const tsr_kv_desc& desc) {
  tsr_kv_info info{};
  info.struct_size = sizeof(info);
  ErrorSlot error;
  tsr_status code = api().kv_query(handle_, &desc, &error, &info);
  TSR_RETURN_IF_ERROR(from_plugin(code, error, "kv_query"));
  if (info.block_bytes == 0 ||
      (desc.num_blocks != 0 &&
       info.block_bytes > UINT64_MAX / desc.num_blocks)) {
    return Status(TSR_INTERNAL,
                  fmt::format("{}: kv_query: {} blocks of {} bytes", name(),
                              desc.num_blocks, info.block_bytes));
  }
  TSR_ASSIGN_OR_RETURN(
      Buffer buffer,
      create_buffer(info.block_bytes * desc.num_blocks, info.memory_kind));
  const uint64_t id = next_host_id();
  code = api().kv_create(handle_, id, &desc, buffer.id(), 0, &error);
  TSR_RETURN_IF_ERROR(from_plugin(code, error, "kv_create"));
  return KvPool(std::move(buffer),
                DeviceObject(shared_from_this(), id, &tsr_api::kv_destroy),
                info);
}

Result<Program> Device::create_program(std::vector<std::byte> record) {
  TSR_RETURN_IF_ERROR(program_in(record).status());
  auto* program = reinterpret_cast<tsr_program_desc*>(record.data());
  program->id = next_host_id();
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  ErrorSlot error;
  const tsr_status code = api().program_create(handle_, program, &error, &info);
  TSR_RETURN_IF_ERROR(from_plugin(code, error, "program_create"));
  return Program(
      DeviceObject(shared_from_this(), program->id, &tsr_api::program_destroy),
      info);
}

Result<std::vector<tsr_refusal>> Device::check(
    std::span<const std::byte> record, std::span<const tsr_weight_desc> weights,
    std::span<const tsr_kv_desc> kv_pools) {
  TSR_ASSIGN_OR_RETURN(const tsr_program_desc* program, program_in(record));
  const tsr_array weight_array = array_of(weights);
  const tsr_array kv_array = array_of(kv_pools);
  std::vector<tsr_refusal> refusals(program->ops.count);
  for (tsr_refusal& refusal : refusals) refusal.struct_size = sizeof(refusal);
  uint32_t count = 0;
  ErrorSlot error;
  const tsr_status code = api().check(
      handle_, program, &weight_array, &kv_array, &error, refusals.data(),
      program->ops.count, sizeof(tsr_refusal), &count);
  // Refusals come with UNIMPLEMENTED, like a stub's answer without any.
  if (code != TSR_OK && (code != TSR_UNIMPLEMENTED || count == 0)) {
    return from_plugin(code, error, "check");
  }
  if (count < refusals.size()) refusals.resize(count);
  for (tsr_refusal& refusal : refusals) {
    refusal.field[sizeof(refusal.field) - 1] = '\0';
    refusal.message[sizeof(refusal.message) - 1] = '\0';
  }
  return refusals;
}

Result<tsr_estimate> Device::estimate(std::span<const std::byte> record,
                                      std::span<const tsr_weight_desc> weights,
                                      std::span<const tsr_kv_desc> kv_pools,
                                      const tsr_step_shape& step) {
  TSR_ASSIGN_OR_RETURN(const tsr_program_desc* program, program_in(record));
  const tsr_array weight_array = array_of(weights);
  const tsr_array kv_array = array_of(kv_pools);
  tsr_estimate estimate{};
  estimate.struct_size = sizeof(estimate);
  ErrorSlot error;
  const tsr_status code = api().estimate(handle_, program, &weight_array,
                                         &kv_array, &step, &error, &estimate);
  TSR_RETURN_IF_ERROR(from_plugin(code, error, "estimate"));
  return estimate;
}

Result<Queue> Device::create_queue() {
  tsr_queue* queue = nullptr;
  ErrorSlot error;
  const tsr_status code = api().queue_create(handle_, &error, &queue);
  TSR_RETURN_IF_ERROR(from_plugin(code, error, "queue_create"));
  return Queue(shared_from_this(), queue);
}

Result<std::vector<tsr_kernel_record>> Device::profile_read() {
  constexpr uint32_t kAtOnce = 256;
  std::vector<tsr_kernel_record> records;
  for (;;) {
    const size_t first = records.size();
    records.resize(first + kAtOnce);
    uint32_t count = 0;
    ErrorSlot error;
    const tsr_status code =
        api().profile_read(handle_, &error, &records[first], kAtOnce,
                           sizeof(tsr_kernel_record), &count);
    TSR_RETURN_IF_ERROR(from_plugin(code, error, "profile_read"));
    if (count < kAtOnce) {
      records.resize(first + count);
      return records;
    }
  }
}

Result<std::string> Device::ask(const std::string& extension,
                                std::string_view request) {
  if (!has_extension(info(), extension)) {
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("{} has no {}", name(), extension));
  }
  std::string reply(size_t{1} << 20, '\0');
  for (;;) {
    tsr_ask ask{};
    ask.struct_size = sizeof(ask);
    ask.extension = extension.c_str();
    ask.request = request.data();
    ask.request_bytes = request.size();
    ask.reply = reply.data();
    ask.capacity = reply.size();
    ErrorSlot error;
    const tsr_status code = api().device_ask(handle_, &ask, &error);
    TSR_RETURN_IF_ERROR(from_plugin(code, error, "device_ask"));
    const bool fits = ask.reply_bytes <= reply.size();
    if (!fits && ask.reply_bytes > kMaxReplyBytes) {
      return Status(
          TSR_RESOURCE_EXHAUSTED,
          fmt::format("{}: an answer of {} bytes", extension, ask.reply_bytes));
    }
    reply.resize(ask.reply_bytes);
    if (fits) return reply;
  }
}

}  // namespace tessera
