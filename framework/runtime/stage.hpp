// SPDX-License-Identifier: Apache-2.0
//
// One program of a session with everything it needs on its device.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/host/device/device.hpp"
#include "framework/host/device/record_builder.hpp"
#include "framework/planner/plan.hpp"
#include "framework/runtime/lowering.hpp"
#include "framework/runtime/stages/residents.hpp"
#include "framework/runtime/step_arena.hpp"

namespace tessera {

// A tensor that crosses from one program to another, or to the host.
struct BoundaryTensor {
  uint32_t graph_tensor = TSR_NONE;
  uint32_t symbol = TSR_DIM_FIXED;  // of its leading dimension
  uint32_t dtype = TSR_DTYPE_NONE;
  uint64_t row_bytes = 0;
  std::byte* memory = nullptr;  // mapped on the host
  // An output that is some columns of `graph_tensor`: where they begin in its
  // rows.
  uint64_t offset_in_row = 0;
};

// What the stages of one session are made from.
struct StageInputs {
  const Graph& graph;
  const Plan& plan;
  const WeightSource& source;
  StepLimits limits;
  uint32_t block_size = 0;
  uint32_t kv_blocks = 0;
  bool profile = false;
  // What other stages have loaded; null: nothing is shared.
  Residents* residents = nullptr;
};

// Of what a stage was the first to load.
struct StageMemory {
  uint64_t weight_bytes = 0;
  uint64_t kv_bytes = 0;
  uint64_t workspace_bytes = 0;
};

// The sizes of one step.
struct StepSize {
  uint32_t num_tokens = 0;
  uint32_t num_seqs = 0;
  uint32_t num_outputs = 0;
  uint32_t max_q_len = 0;
  uint32_t max_seq_len = 0;
  uint32_t num_decode_tokens = 0;
};

class Stage {
 public:
  // Loads the weights of `range` and records its program.
  static Result<std::unique_ptr<Stage>> create(const StageInputs& inputs,
                                               const OpRange& range,
                                               std::shared_ptr<Device> device);

  // Runs one step to its end.
  Status run(const StepSize& size);

  // The two halves of run().
  //
  // Requires  each submit() that succeeds is followed by wait()
  Status submit(const StepSize& size);
  Status wait();

  void* arena() { return arena_memory_; }
  uint64_t arena_bytes() const { return arena_layout_.bytes(); }
  const StepArenaLayout& arena_layout() const { return arena_layout_; }
  const std::vector<BoundaryTensor>& inputs() const { return inputs_; }
  const std::vector<BoundaryTensor>& outputs() const { return outputs_; }
  const StageMemory& memory() const { return memory_; }
  Device& device() const { return *device_; }

 private:
  explicit Stage(const StepLimits& limits) : arena_layout_(limits) {}

  Status load_weights(const StageInputs& inputs, const Lowered& lowered);
  Status create_pools(const StageInputs& inputs, const Lowered& lowered);
  Status bind_tensors(const StageInputs& inputs, const Lowered& lowered);
  Status bind_constant(const StageInputs& inputs, uint32_t graph_tensor,
                       const tsr_tensor& tensor, uint32_t program_tensor);
  Status bind_boundary(uint32_t graph_tensor, const tsr_tensor& tensor,
                       uint32_t program_tensor, Place place,
                       const Graph& graph);
  Result<std::shared_ptr<LoadedConstant>> load_constant(
      const StageInputs& inputs, uint32_t graph_tensor,
      const tsr_tensor& tensor);
  Result<Buffer> host_visible_buffer(uint64_t bytes, void** out_memory);
  Status record(const StageInputs& inputs, const Lowered& lowered);

  std::shared_ptr<Device> device_;
  StepArenaLayout arena_layout_;
  void* arena_memory_ = nullptr;
  uint64_t arena_buffer_ = 0;
  StageMemory memory_;
  std::vector<BoundaryTensor> inputs_;
  std::vector<BoundaryTensor> outputs_;
  std::vector<tsr_binding> bindings_;
  std::vector<Buffer> buffers_;
  std::vector<std::shared_ptr<LoadedConstant>> constants_;
  std::vector<std::shared_ptr<LoadedWeight>> weights_;
  std::vector<std::shared_ptr<KvPool>> pools_;
  std::vector<Program> programs_;  // one; later members are destroyed first
  std::vector<Queue> queues_;
  std::unique_ptr<Timeline> timeline_;
  SubmissionBuilder submission_;
  uint64_t next_value_ = 0;
};

}  // namespace tessera
