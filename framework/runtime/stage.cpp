// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/stage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "framework/runtime/weight_loader.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tensor/half.hpp"

namespace tessera {
namespace {

constexpr uint64_t kPageBytes = 4096;

uint64_t element_count(const tsr_tensor& tensor) {
  uint64_t count = 1;
  for (uint32_t d = 0; d < tensor.rank; ++d) count *= tensor.dims[d].max;
  return count;
}

uint64_t row_bytes(const tsr_tensor& tensor) {
  return dtype_bytes(tensor.dtype, element_count(tensor) / tensor.dims[0].max);
}

float element_as_f32(uint32_t dtype, const std::byte* data, size_t index) {
  if (dtype == TSR_F32) {
    float value = 0.0f;
    std::memcpy(&value, data + index * sizeof(value), sizeof(value));
    return value;
  }
  uint16_t bits = 0;
  std::memcpy(&bits, data + index * sizeof(bits), sizeof(bits));
  return dtype == TSR_F16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

Status wrong_size(const GraphTensor& tensor, uint64_t found, uint64_t wanted) {
  return {TSR_INVALID_ARGUMENT,
          fmt::format("{}: {} elements in the file, not {}", tensor.source,
                      found, wanted)};
}

}  // namespace

Result<std::unique_ptr<Stage>> Stage::create(const StageInputs& inputs,
                                             const OpRange& range,
                                             std::shared_ptr<Device> device) {
  std::unique_ptr<Stage> stage(new Stage(inputs.limits));
  stage->device_ = std::move(device);
  const auto source_dtype = [&inputs](const GraphTensor& tensor) {
    if (tensor.source.empty()) return uint32_t{TSR_F32};
    const Result<SourceTensor> found = inputs.source.tensor(tensor.source);
    return found.ok() ? found->dtype : uint32_t{TSR_DTYPE_NONE};
  };
  const Lowered lowered =
      lower(inputs.graph, inputs.plan, range, inputs.limits, source_dtype);
  TSR_RETURN_IF_ERROR(stage->load_weights(inputs, lowered));
  TSR_RETURN_IF_ERROR(stage->create_pools(inputs, lowered));
  TSR_RETURN_IF_ERROR(stage->bind_tensors(inputs, lowered));
  TSR_RETURN_IF_ERROR(stage->record(inputs, lowered));
  return stage;
}

Status Stage::load_weights(const StageInputs& inputs, const Lowered& lowered) {
  Residents alone;
  Residents& residents = inputs.residents ? *inputs.residents : alone;
  for (const uint32_t index : lowered.weights) {
    const GraphWeight& weight = inputs.graph.weights[index];
    uint64_t bytes = 0;
    TSR_ASSIGN_OR_RETURN(
        std::shared_ptr<LoadedWeight> loaded,
        residents
            .weight(*device_, weight,
                    choose_linear(weight,
                                  inputs.plan.of_weight(inputs.graph, index)),
                    inputs.source, bytes)
            .annotate(weight.name));
    memory_.weight_bytes += bytes;
    weights_.push_back(std::move(loaded));
  }
  return {};
}

Status Stage::create_pools(const StageInputs& inputs, const Lowered& lowered) {
  Residents alone;
  Residents& residents = inputs.residents ? *inputs.residents : alone;
  for (const uint32_t index : lowered.kv) {
    tsr_kv_desc desc{};
    desc.struct_size = sizeof(desc);
    desc.format = choose_kv_format(inputs.graph.kv[index],
                                   inputs.plan.layers[index].scheme);
    desc.num_kv_heads = inputs.graph.kv[index].num_kv_heads;
    desc.head_dim = inputs.graph.kv[index].head_dim;
    desc.block_size = inputs.block_size;
    desc.num_blocks = inputs.kv_blocks;
    uint64_t bytes = 0;
    TSR_ASSIGN_OR_RETURN(std::shared_ptr<KvPool> pool,
                         residents.kv_pool(*device_, index, desc, bytes)
                             .annotate(fmt::format("KV cache {}", index)));
    memory_.kv_bytes += bytes;
    pools_.push_back(std::move(pool));
  }
  return {};
}

Result<Buffer> Stage::host_visible_buffer(uint64_t bytes, void** out_memory) {
  TSR_ASSIGN_OR_RETURN(const uint32_t kind,
                       device_->memory_kind_with(TSR_MEMORY_HOST_VISIBLE));
  TSR_ASSIGN_OR_RETURN(Buffer buffer, device_->create_buffer(bytes, kind));
  TSR_ASSIGN_OR_RETURN(*out_memory, buffer.map());
  return buffer;
}

Status Stage::bind_tensors(const StageInputs& inputs, const Lowered& lowered) {
  TSR_ASSIGN_OR_RETURN(
      Buffer arena, host_visible_buffer(arena_layout_.bytes(), &arena_memory_));
  arena_buffer_ = arena.id();
  buffers_.push_back(std::move(arena));
  for (uint32_t id = 0; id < lowered.places.size(); ++id) {
    const uint32_t program_tensor = lowered.program_id[id];
    if (program_tensor == TSR_NONE) continue;
    const tsr_tensor& tensor = lowered.tensors[program_tensor];
    switch (lowered.places[id]) {
      case Place::kConstant:
        TSR_RETURN_IF_ERROR(bind_constant(inputs, id, tensor, program_tensor));
        break;
      case Place::kStep:
        bindings_.push_back({program_tensor, 0, arena_buffer_,
                             arena_layout_.offset(tensor.role)});
        break;
      case Place::kInput:
      case Place::kOutput:
        TSR_RETURN_IF_ERROR(bind_boundary(id, tensor, program_tensor,
                                          lowered.places[id], inputs.graph));
        break;
      case Place::kUnused:
      case Place::kTransient:
        break;
    }
  }
  return {};
}

Status Stage::bind_constant(const StageInputs& inputs, uint32_t graph_tensor,
                            const tsr_tensor& tensor, uint32_t program_tensor) {
  // Parts are numbered by each division of the graph for itself.
  const bool shares = inputs.residents != nullptr &&
                      inputs.graph.tensors[graph_tensor].part_of == TSR_NONE;
  const Residents::ConstantKey key{*device_,
                                   inputs.graph.tensors[graph_tensor].source,
                                   graph_tensor, tensor.dtype};
  std::shared_ptr<LoadedConstant> constant;
  if (shares) constant = inputs.residents->find_constant(key);
  if (constant == nullptr) {
    TSR_ASSIGN_OR_RETURN(constant, load_constant(inputs, graph_tensor, tensor));
    if (shares) inputs.residents->put_constant(key, constant);
  }
  bindings_.push_back(
      {program_tensor, 0, constant->buffer.id(), constant->offset});
  constants_.push_back(std::move(constant));
  return {};
}

namespace {

// Numbers of a constant, as the file or the graph has them.
Result<SourceTensor> read_constant(const StageInputs& inputs,
                                   const GraphTensor& constant,
                                   uint64_t count) {
  SourceTensor source{
      TSR_F32, {}, std::as_bytes(std::span(constant.values)), {}};
  if (constant.precision == Precision::kIndex) {
    source = {TSR_I32, {}, std::as_bytes(std::span(constant.indices)), {}};
  } else if (!constant.source.empty()) {
    TSR_ASSIGN_OR_RETURN(source, inputs.source.tensor(constant.source));
  }
  const uint64_t found = source.bytes.size() / dtype_bytes(source.dtype, 1);
  uint64_t wanted = count;
  if (constant.part_of != TSR_NONE && !constant.source.empty()) {
    wanted = inputs.graph.tensors[constant.part_of].dims[0].max;
  }
  if (found != wanted) return wrong_size(constant, found, wanted);
  if (found != count) {
    source.bytes =
        source.bytes.subspan(dtype_bytes(source.dtype, constant.first_column),
                             dtype_bytes(source.dtype, count));
  }
  return source;
}

}  // namespace

Result<std::shared_ptr<LoadedConstant>> Stage::load_constant(
    const StageInputs& inputs, uint32_t graph_tensor,
    const tsr_tensor& tensor) {
  const GraphTensor& constant = inputs.graph.tensors[graph_tensor];
  const uint64_t count = element_count(tensor);
  TSR_ASSIGN_OR_RETURN(const SourceTensor source,
                       read_constant(inputs, constant, count));

  // A table as the file has it is used where it lies.
  if (!constant.source.empty() && source.owner == nullptr &&
      source.dtype == tensor.dtype &&
      device_->memory_kind_with(TSR_MEMORY_IMPORT_HOST).ok()) {
    const auto address = reinterpret_cast<uintptr_t>(source.bytes.data());
    const uint64_t offset = address % kPageBytes;
    // The device only reads a CONSTANT tensor.
    void* page = const_cast<std::byte*>(source.bytes.data()) - offset;
    Result<Buffer> buffer =
        device_->import_host(page, source.bytes.size() + offset);
    if (buffer.ok()) {
      return std::make_shared<LoadedConstant>(
          LoadedConstant{std::move(*buffer), offset});
    }
  }
  void* memory = nullptr;
  TSR_ASSIGN_OR_RETURN(
      Buffer buffer,
      host_visible_buffer(dtype_bytes(tensor.dtype, count), &memory));
  if (source.dtype == tensor.dtype) {
    std::memcpy(memory, source.bytes.data(), source.bytes.size());
  } else {
    for (uint64_t i = 0; i < count; ++i) {
      static_cast<float*>(memory)[i] =
          element_as_f32(source.dtype, source.bytes.data(), i);
    }
  }
  TSR_RETURN_IF_ERROR(buffer.flush());
  return std::make_shared<LoadedConstant>(LoadedConstant{std::move(buffer), 0});
}

Status Stage::bind_boundary(uint32_t graph_tensor, const tsr_tensor& tensor,
                            uint32_t program_tensor, Place place,
                            const Graph& graph) {
  void* memory = nullptr;
  TSR_ASSIGN_OR_RETURN(
      Buffer buffer,
      host_visible_buffer(dtype_bytes(tensor.dtype, element_count(tensor)),
                          &memory));
  bindings_.push_back({program_tensor, 0, buffer.id(), 0});
  buffers_.push_back(std::move(buffer));
  BoundaryTensor boundary{
      graph_tensor,      tensor.dims[0].symbol,           tensor.dtype,
      row_bytes(tensor), static_cast<std::byte*>(memory), 0};
  const GraphTensor& part = graph.tensors[graph_tensor];
  if (part.part_of != TSR_NONE) {
    boundary.graph_tensor = part.part_of;
    boundary.offset_in_row = dtype_bytes(tensor.dtype, part.first_column);
  }
  (place == Place::kInput ? inputs_ : outputs_).push_back(boundary);
  return {};
}

Status Stage::record(const StageInputs& inputs, const Lowered& lowered) {
  ProgramBuilder builder;
  builder.set_limits(inputs.limits.max_tokens, inputs.limits.max_seqs,
                     inputs.limits.max_outputs,
                     inputs.limits.max_blocks_per_seq);
  for (const tsr_tensor& tensor : lowered.tensors) builder.add_tensor(tensor);
  for (const GraphOpBody& op : lowered.ops) {
    std::visit([&builder](const auto& body) { builder.add_op(body); }, op);
  }
  for (const auto& loaded : weights_) builder.add_weight(loaded->weight.id());
  for (const auto& pool : pools_) builder.add_kv_pool(pool->id());
  for (const tsr_binding& binding : bindings_) builder.bind(binding);
  TSR_ASSIGN_OR_RETURN(Program program,
                       device_->create_program(builder.build()));
  memory_.workspace_bytes += program.workspace_bytes();

  TSR_ASSIGN_OR_RETURN(Queue queue, device_->create_queue());
  timeline_ = std::make_unique<Timeline>();
  TSR_ASSIGN_OR_RETURN(const uint64_t timeline,
                       timeline_->import_into(device_));
  submission_.set_program(program.id());
  submission_.add_signal({timeline, 0});
  submission_.set_flags(inputs.profile ? uint32_t{TSR_SUBMIT_PROFILE} : 0);
  programs_.push_back(std::move(program));
  queues_.push_back(std::move(queue));
  return {};
}

Status Stage::run(const StepSize& size) {
  TSR_RETURN_IF_ERROR(submit(size));
  return wait();
}

Status Stage::submit(const StepSize& size) {
  tsr_submission& record = submission_.record();
  record.num_tokens = size.num_tokens;
  record.num_seqs = size.num_seqs;
  record.num_outputs = size.num_outputs;
  record.max_q_len = size.max_q_len;
  record.max_seq_len = size.max_seq_len;
  record.num_decode_tokens = size.num_decode_tokens;
  submission_.signal(0).value = ++next_value_;
  return queues_[0].submit(record);
}

Status Stage::wait() {
  const uint64_t limit_ns = device_->plugin().step_limit_ns();
  const Status done = timeline_->wait(next_value_, limit_ns);
  if (done.code() == TSR_DEADLINE_EXCEEDED) {
    device_->plugin().abandon(
        fmt::format("took more than {:g} s for a step and was ended",
                    static_cast<double>(limit_ns) / 1e9));
  }
  return done.ok() ? done : device_->explain(done);
}

}  // namespace tessera
