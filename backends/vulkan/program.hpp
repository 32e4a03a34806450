// SPDX-License-Identifier: Apache-2.0
//
// A program: its dispatches recorded once into a command buffer, which each
// step replays over new parameters.

#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "backends/vulkan/launch/launch.hpp"
#include "backends/vulkan/places.hpp"
#include "backends/vulkan/recording.hpp"
#include "tessera/record.hpp"

namespace tessera::vulkan {

class VulkanDevice;

class Program {
 public:
  // Errors: throws INVALID_ARGUMENT for ids or bindings that do not exist,
  // UNIMPLEMENTED for ops this device does not run.
  Program(VulkanDevice& device, const sdk::ProgramView& view);

  tsr_program_info info() const;
  tsr_segment segment(uint32_t index) const;

  // Runs one step on a lane and returns when it is done.  Allocates nothing,
  // save at the first step of a kind, which is recorded.
  void run(const sdk::SubmissionView& submission, uint32_t lane);

 private:
  void make_launches(const sdk::ProgramView& view);
  void make_records();
  // Lets ops of the same input use what the first of them makes of it.  Returns
  // the life of each op's scratch.
  std::vector<sdk::Lifetime> share_inputs(const sdk::ProgramView& view);
  // Sets what fill_slots goes by, but for places.  Returns true if it was so at
  // the last step.
  bool set_shape(const tsr_submission& submission);
  // Finds the slots that have work, too.
  void fill_slots(const Step& step);
  void require_groups(uint32_t op, const DispatchSlot& slot) const;
  const Recording& find_recording(const Step& step, bool has_timestamps);
  void add_records(const Recording& recording);
  void check_fault();
  DispatchSlot* slots() const;

  VulkanDevice& device_;
  tsr_program_desc desc_;
  std::vector<std::unique_ptr<Launch>> launches_;
  std::vector<uint32_t> first_slots_;       // by op
  std::vector<tsr_kernel_record> records_;  // by op; times of the last step
  std::unique_ptr<TensorPlaces> places_;
  std::unique_ptr<Buffer> parameters_;  // the fault, then the slots
  uint32_t num_slots_ = 0;
  std::vector<ActiveSlot> active_;  // of the step at hand
  std::vector<uint32_t> shape_;     // of that step: counts, classes of lengths
  bool is_filled_ = false;          // slots are of that shape and its places
  std::vector<std::unique_ptr<Recording>> recordings_;  // the newest first
  std::mutex mutex_;  // one step at a time: they share parameters
};

}  // namespace tessera::vulkan
