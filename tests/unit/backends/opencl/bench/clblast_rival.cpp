// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/opencl/bench/clblast_rival.hpp"

#include "tests/unit/backends/device/bench/rivals.hpp"
#include "tests/unit/backends/opencl/bench/clblast_gemm.hpp"

namespace tessera::device_test {
namespace {

void compare_clblast(const std::shared_ptr<Device>& device,
                     const std::string& part, const LinearSize& shape) {
  const std::string name = "f32 over CLBlast, " + shape.text();
  if (name.find(part) == std::string::npos) return;
  if (!ClBlastGemm::is_installed()) {
    std::printf("%-44s CLBlast is not installed\n", name.c_str());
    return;
  }
  const LinearRow row = shape.row("f32", TSR_ACT_FLOAT);
  LinearSteps ours(device, row);
  ClBlastGemm theirs(shape.M, shape.N, shape.K);
  compare(
      name, operations_of(row), [&] { require(ours.steps().run()); },
      [&] { theirs.run(); });
}

constexpr LinearSize kClBlastShapes[] = {
    {512, 512, 512}, {1024, 1024, 1024}, {512, 4096, 4096}};

}  // namespace

void run_clblast_rivals(const std::shared_ptr<Device>& device,
                        const std::string& part) {
  for (const LinearSize& s : kClBlastShapes) compare_clblast(device, part, s);
}

}  // namespace tessera::device_test
