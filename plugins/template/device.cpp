// SPDX-License-Identifier: Apache-2.0

#include "device.hpp"

#include "kernels/table.hpp"
#include "queue.hpp"
#include "tessera/capability.hpp"

namespace my {

// Reason, field and nearest value all come from the kernel table.  Append here
// what a table cannot say, such as a program that does not fit the memory:
//   refusals.push_back(tessera::make_refusal(op, TSR_REFUSED_MEMORY, ...));
std::vector<tsr_refusal> TemplateDevice::check(
    const tessera::sdk::ProgramQuestion& question) {
  return tessera::sdk::check_against(kernel_table(), question);
}

tsr_packed_info TemplateDevice::weight_query(const tsr_weight_desc&) {
  throw unimplemented("weight_query");
}

std::unique_ptr<tessera::sdk::Packing> TemplateDevice::packing_begin(
    uint64_t, const tsr_weight_desc&, uint64_t, uint64_t) {
  throw unimplemented("packing_begin");
}

void TemplateDevice::weight_create(uint64_t, const tsr_weight_desc&, uint64_t,
                                   uint64_t) {
  throw unimplemented("weight_create");
}

void TemplateDevice::weight_destroy(uint64_t) {}

tsr_program_info TemplateDevice::program_create(
    const tessera::sdk::ProgramView& program) {
  // A device with weights or KV pools keeps their descriptors by id, and asks
  // with those of the program here.
  const auto refusals = check({program, {}, {}});
  if (!refusals.empty()) {
    throw tessera::sdk::Error(TSR_UNIMPLEMENTED, refusals.front().message);
  }
  auto compiled = std::make_shared<Program>(program, *this);
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  info.num_segments = compiled->num_ops();
  info.workspace_bytes = compiled->workspace_bytes();
  programs_.insert(program.desc().id, std::move(compiled));
  return info;
}

// One op per kernel: nothing is fused yet.
tsr_segment TemplateDevice::program_segment(uint64_t program, uint32_t index) {
  const uint32_t count = programs_.find(program)->num_ops();
  if (index >= count) {
    throw tessera::sdk::Error(
        TSR_INVALID_ARGUMENT,
        "segment " + std::to_string(index) + " of " + std::to_string(count));
  }
  tsr_segment segment{};
  segment.struct_size = sizeof(segment);
  segment.first_op = index;
  segment.num_ops = 1;
  std::snprintf(segment.kernel, sizeof(segment.kernel), "add_f32__scalar");
  return segment;
}

void TemplateDevice::program_destroy(uint64_t program) {
  programs_.erase(program);
}

std::unique_ptr<tessera::sdk::Queue> TemplateDevice::queue_create() {
  return std::make_unique<TemplateQueue>(*this);
}

}  // namespace my
