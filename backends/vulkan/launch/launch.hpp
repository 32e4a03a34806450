// SPDX-License-Identifier: Apache-2.0
//
// One op of a program: dispatches that are recorded once, and what each step
// writes for them into the program's parameters.

#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "backends/vulkan/kernel_args.hpp"
#include "backends/vulkan/places.hpp"
#include "backends/vulkan/runtime/texels.hpp"
#include "tessera/op_facts.hpp"
#include "tessera/places.hpp"

namespace tessera::vulkan {

class VulkanDevice;

// The parameters of one dispatch as the device reads them.
struct DispatchSlot {
  uint32_t groups[3];
  uint32_t reserved;
  char args[240];
};

// The step that runs.
struct Step {
  const tsr_submission& submission;
  const TensorPlaces& places;
  uint64_t fault;  // address; see shaders/base.glsl
};

// A tensor as entries (of its leading dimension) of rows.
class TensorRows {
 public:
  TensorRows() = default;
  // Throws INVALID_ARGUMENT if there is no such tensor; TSR_NONE is none.
  TensorRows(const sdk::ProgramView& program, uint32_t id);

  bool exists() const { return id_ != TSR_NONE; }
  uint32_t id() const { return id_; }
  uint32_t dtype() const { return tensor_.dtype; }
  uint32_t width() const { return width_; }  // of the last dimension
  // Elements of one entry, and between entries.
  int64_t features() const { return int64_t{width_} * rows_per_entry_; }
  int64_t entry_stride() const { return stride_ * rows_per_entry_; }
  uint32_t max_entries() const { return tensor_.dims[0].max; }
  uint32_t entries(const Step& step) const;
  uint64_t rows(const Step& step) const {
    return uint64_t{entries(step)} * rows_per_entry_;
  }

  // 0 if there is no such tensor.
  uint64_t address(const Step& step) const;
  // For shaders that go by rows of the last dimension, or by entries.
  RowPlace row_place(const Step& step) const;
  RowPlace entry_place(const Step& step) const;

 private:
  uint32_t id_ = TSR_NONE;
  tsr_tensor tensor_{};
  uint32_t width_ = 0;
  uint32_t rows_per_entry_ = 1;
  int64_t stride_ = 0;
};

class Launch {
 public:
  virtual ~Launch() = default;
  // Dispatches, in order; each sees what those before it wrote.
  virtual uint32_t num_slots() const { return 1; }
  // Fills every slot; groups of 0 skip it.  Steps of the same counts and places
  // fill alike, whatever their max_seq_len, if they are of one class of
  // lengths.
  virtual void fill(const Step& step, DispatchSlot* slots) = 0;
  virtual uint32_t length_class(uint32_t /*max_seq_len*/) const { return 0; }
  // What runs where a slot is not skipped.  Asked when a step is recorded;
  // holds as long as the tensors among its texels stay where they are.
  virtual Dispatch dispatch(const Step& step, uint32_t slot) = 0;
  virtual uint64_t scratch_bytes() const { return 0; }
  virtual std::string kernel_name() const = 0;

  // What the op makes of its input in its scratch: launches of equal keys make
  // the same as long as the input stays.  Empty: nothing that others could use.
  virtual std::vector<uint64_t> input_key() const { return {}; }
  // From now on the launch reads what op `first` made, instead of making it,
  // and has no scratch.
  virtual void share_input(uint32_t /*first*/) {}
};

template <typename Args>
void set_slot(DispatchSlot& slot, uint64_t x, uint64_t y, const Args& args) {
  static_assert(sizeof(Args) <= sizeof(slot.args));
  slot.groups[0] = static_cast<uint32_t>(x);
  slot.groups[1] = static_cast<uint32_t>(y);
  slot.groups[2] = 1;
  std::memcpy(slot.args, &args, sizeof(args));
}

// Groups of shaders that go on with the next row when there are more rows.
inline uint64_t row_groups(uint64_t rows) {
  constexpr uint64_t kMost = 65535;  // that every device takes
  return rows < kMost ? rows : kMost;
}

// What making a launch may look at.
struct LaunchInput {
  VulkanDevice& device;
  const sdk::ProgramView& program;
  const sdk::OpRecord& op;
  const sdk::OpFacts& facts;
  uint32_t index;  // of the op

  TensorRows rows(uint32_t tensor) const { return {program, tensor}; }
  VkPipeline pipeline(const std::string& shader,
                      const std::vector<uint32_t>& constants) const;
};

// Throws INVALID_ARGUMENT, UNIMPLEMENTED or NOT_FOUND, saying why.
std::unique_ptr<Launch> make_launch(const LaunchInput& input);

// One per kind, in launch/<kind>.cpp.
std::unique_ptr<Launch> make_linear(const LaunchInput& input);
std::unique_ptr<Launch> make_attention(const LaunchInput& input);
std::unique_ptr<Launch> make_kv_append(const LaunchInput& input);
std::unique_ptr<Launch> make_row_op(const LaunchInput& input);

}  // namespace tessera::vulkan
