// SPDX-License-Identifier: Apache-2.0
//
// Estimates go by rates that are measured once per device and driver.

#include <filesystem>

#include "tests/unit/backends/device/op_runner.hpp"

namespace tessera::device_test {
namespace {

// y = a + a over 64 tokens.
double estimated_ns(const std::shared_ptr<Device>& device) {
  ProgramBuilder program;
  tsr_tensor tensor{};
  tensor.struct_size = sizeof(tensor);
  tensor.dtype = TSR_F32;
  tensor.rank = 2;
  tensor.view_of = TSR_NONE;
  tensor.dims[0] = {64, TSR_DIM_FIXED};
  tensor.dims[1] = {4096, TSR_DIM_FIXED};
  tsr_op_elementwise add{};
  add.op.kind = TSR_OP_ADD;
  add.a = add.b = program.add_tensor(tensor);
  add.y = program.add_tensor(tensor);
  program.add_op(add);
  tsr_step_shape step{};
  step.struct_size = sizeof(step);
  step.num_tokens = step.num_seqs = 1;
  const auto estimate = device->estimate(program.build(), {}, {}, step);
  EXPECT_TRUE(estimate.ok()) << estimate.status().message();
  return estimate.ok() ? static_cast<double>(estimate->mean_ns) : 0.0;
}

bool has_file_that_begins(const std::filesystem::path& folder,
                          const std::string& begin) {
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().filename().string().rfind(begin, 0) == 0) return true;
  }
  return false;
}

TEST(VulkanEstimate, MeasuresOnceAndKeepsTheRates) {
  TSR_OPEN_OR_SKIP(device, {});
  const double first = estimated_ns(device);
  EXPECT_GT(first, 0.0);
  EXPECT_EQ(estimated_ns(device), first);
  EXPECT_TRUE(has_file_that_begins(
      std::filesystem::path(TSR_BINARY_DIR) / "vulkan-cache", "rates-"));
}

}  // namespace
}  // namespace tessera::device_test
