// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/device.hpp"

#include <string>
#include <utility>

#include "backends/opencl/program.hpp"
#include "backends/opencl/queue.hpp"
#include "backends/opencl/weights.hpp"
#include "tessera/capability.hpp"
#include "tessera/rows/kernel_rows.hpp"

namespace tessera::opencl {
namespace {

ContextHandle make_context(const DeviceFacts& facts) {
  const cl_context_properties properties[] = {
      CL_CONTEXT_PLATFORM,
      reinterpret_cast<cl_context_properties>(facts.platform), 0};
  cl_int code = CL_SUCCESS;
  ContextHandle context(
      clCreateContext(properties, 1, &facts.device, nullptr, nullptr, &code));
  check_cl(code, "clCreateContext");
  return context;
}

std::string cache_folder(const tsr_host_services& host) {
  return host.cache_folder == nullptr ? "" : host.cache_folder;
}

}  // namespace

OpenClDevice::OpenClDevice(const tsr_host_services& host,
                           const DeviceEntry& entry,
                           const DeviceOptions& options)
    : sdk::HostMemoryDevice(host),
      entry_(entry),
      options_(options),
      context_(make_context(entry.facts)),
      transfer_queue_(make_queue()),
      kernels_(context_.get(), entry.facts, cache_folder(host),
               common_constants(options.features)),
      command_buffers_(entry.facts),
      nothing_(create_private(1)) {}

OpenClDevice::~OpenClDevice() = default;

QueueHandle OpenClDevice::make_queue() const {
  cl_int code = CL_SUCCESS;
  QueueHandle queue(clCreateCommandQueue(context_.get(), entry_.facts.device,
                                         CL_QUEUE_PROFILING_ENABLE, &code));
  check_cl(code, "clCreateCommandQueue");
  return queue;
}

std::vector<tsr_refusal> OpenClDevice::check(
    const sdk::ProgramQuestion& question) {
  return sdk::check_against(sdk::rows::kernel_rows(), question);
}

// ---- Buffers

Sharing OpenClDevice::sharing_of(uint32_t memory_kind) const {
  if (memory_kind >= entry_.memory_kinds.size()) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "memory kind " + std::to_string(memory_kind) + " of " +
                         std::to_string(entry_.memory_kinds.size()));
  }
  const uint32_t flags = entry_.memory_kinds[memory_kind].flags;
  const bool visible = (flags & TSR_MEMORY_HOST_VISIBLE) != 0;
  return visible ? options_.sharing : Sharing::kNone;
}

std::shared_ptr<Buffer> OpenClDevice::create_private(uint64_t bytes) {
  return std::make_shared<Buffer>(context_.get(), transfer_queue_.get(), bytes,
                                  nullptr, Sharing::kNone);
}

void OpenClDevice::buffer_create(const tsr_buffer_desc& desc) {
  const Sharing sharing = sharing_of(desc.memory_kind);
  std::unique_ptr<sdk::HostBuffer> memory;
  if (sharing == Sharing::kShared || sharing == Sharing::kMapped) {
    constexpr uint32_t kPage = 4096;  // what drivers share without a copy
    memory = std::make_unique<sdk::HostBuffer>(host(), desc.bytes, kPage);
  }
  const QueueLock queue = lock_queue();
  buffers_.insert(
      desc.id, std::make_shared<Buffer>(context_.get(), queue.get(), desc.bytes,
                                        std::move(memory), sharing));
}

void OpenClDevice::buffer_import(const tsr_buffer_desc& desc, uint32_t type,
                                 uint64_t handle) {
  // What the host writes there at any time, the device must see.
  const bool is_seen =
      options_.sharing != Sharing::kMapped && options_.sharing != Sharing::kSvm;
  if (type != TSR_HANDLE_HOST_POINTER || !is_seen) {
    throw sdk::Error(TSR_UNIMPLEMENTED, "handle type " + std::to_string(type) +
                                            " cannot be imported");
  }
  auto memory = std::make_unique<sdk::HostBuffer>(
      reinterpret_cast<void*>(handle), desc.bytes);
  const QueueLock queue = lock_queue();
  buffers_.insert(
      desc.id, std::make_shared<Buffer>(context_.get(), queue.get(), desc.bytes,
                                        std::move(memory), options_.sharing));
}

uint64_t OpenClDevice::buffer_export(uint64_t buffer, uint32_t type) {
  if (type != TSR_HANDLE_HOST_POINTER) {
    throw sdk::Error(TSR_UNIMPLEMENTED, "handle type " + std::to_string(type) +
                                            " cannot be exported");
  }
  return reinterpret_cast<uint64_t>(buffers_.find(buffer)->host());
}

void* OpenClDevice::buffer_map(uint64_t buffer) {
  return buffers_.find(buffer)->host();
}

void OpenClDevice::buffer_destroy(uint64_t buffer) { buffers_.erase(buffer); }

// ---- Weights

tsr_packed_info OpenClDevice::weight_query(const tsr_weight_desc& desc) {
  return query_weight(desc);
}

std::unique_ptr<sdk::Packing> OpenClDevice::packing_begin(
    uint64_t weight, const tsr_weight_desc& desc, uint64_t buffer,
    uint64_t offset) {
  return begin_packing(*this, weight, desc, {find_buffer(buffer), offset});
}

void OpenClDevice::weight_create(uint64_t weight, const tsr_weight_desc& desc,
                                 uint64_t buffer, uint64_t offset) {
  add_weight(weight,
             std::make_shared<PackedWeight>(
                 *this, desc, PackedPlace{find_buffer(buffer), offset}));
}

void OpenClDevice::weight_destroy(uint64_t weight) { weights_.erase(weight); }

// ---- KV pools

tsr_kv_info OpenClDevice::kv_query(const tsr_kv_desc& desc) {
  tsr_kv_info info{};
  info.struct_size = sizeof(info);
  info.block_bytes = sdk::make_kv_place(desc).block_bytes;
  info.alignment = entry_.memory_kinds[0].alignment;
  return info;
}

void OpenClDevice::kv_create(uint64_t pool, const tsr_kv_desc& desc,
                             uint64_t buffer, uint64_t offset) {
  auto created = std::make_shared<KvPool>();
  created->desc = desc;
  created->desc.next = nullptr;
  created->place = sdk::make_kv_place(desc);
  created->place.begin = offset;
  created->buffer = find_buffer(buffer);
  created->buffer->require_range(
      offset, created->place.block_bytes * uint64_t{desc.num_blocks});
  // Blocks stay on the device from now on: steps do not hand them over.
  const QueueLock queue = lock_queue();
  if (created->buffer->sharing() == Sharing::kMapped) {
    created->buffer->to_device(queue.get(), 0, 0);
  }
  kv_pools_.insert(pool, std::move(created));
}

void OpenClDevice::kv_destroy(uint64_t pool) { kv_pools_.erase(pool); }

// ---- Programs

tsr_program_info OpenClDevice::program_create(const sdk::ProgramView& program) {
  auto created = std::make_shared<Program>(*this, program);
  const tsr_program_info info = created->info();
  programs_.insert(program.desc().id, std::move(created));
  return info;
}

tsr_segment OpenClDevice::program_segment(uint64_t program, uint32_t index) {
  return programs_.find(program)->segment(index);
}

void OpenClDevice::program_destroy(uint64_t program) {
  programs_.erase(program);
}

std::unique_ptr<sdk::Queue> OpenClDevice::queue_create() {
  return std::make_unique<OpenClQueue>(*this);
}

void OpenClDevice::add_records(const std::vector<tsr_kernel_record>& records) {
  const std::lock_guard<std::mutex> lock(records_mutex_);
  records_.insert(records_.end(), records.begin(), records.end());
}

std::vector<tsr_kernel_record> OpenClDevice::profile_read(uint32_t capacity) {
  const std::lock_guard<std::mutex> lock(records_mutex_);
  std::vector<tsr_kernel_record> taken;
  while (!records_.empty() && taken.size() < capacity) {
    taken.push_back(records_.front());
    records_.pop_front();
  }
  return taken;
}

}  // namespace tessera::opencl
