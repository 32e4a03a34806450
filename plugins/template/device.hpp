// SPDX-License-Identifier: Apache-2.0
//
// The device: checks programs, compiles them, and hands out queues.  Buffers,
// timelines and their ids come from HostMemoryDevice; a device with memory of
// its own derives from tessera::sdk::Device instead.

#pragma once

#include "program.hpp"
#include "tessera/host_memory.hpp"

namespace my {

class TemplateDevice : public tessera::sdk::HostMemoryDevice {
 public:
  using HostMemoryDevice::HostMemoryDevice;

  std::vector<tsr_refusal> check(
      const tessera::sdk::ProgramQuestion& question) override;

  // No kernel here has weights.  With the first that does, fill these four.
  tsr_packed_info weight_query(const tsr_weight_desc& desc) override;
  std::unique_ptr<tessera::sdk::Packing> packing_begin(
      uint64_t weight, const tsr_weight_desc& desc, uint64_t buffer,
      uint64_t offset) override;
  void weight_create(uint64_t weight, const tsr_weight_desc& desc,
                     uint64_t buffer, uint64_t offset) override;
  void weight_destroy(uint64_t weight) override;

  tsr_program_info program_create(
      const tessera::sdk::ProgramView& program) override;
  tsr_segment program_segment(uint64_t program, uint32_t index) override;
  void program_destroy(uint64_t program) override;

  std::unique_ptr<tessera::sdk::Queue> queue_create() override;

  // Throws NOT_FOUND.
  std::shared_ptr<Program> program(uint64_t id) const {
    return programs_.find(id);
  }

 private:
  tessera::sdk::IdTable<Program> programs_{"program"};
};

}  // namespace my
