// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/device/bench/rivals.hpp"

namespace tessera::device_test {
namespace {

void compare_int8(const std::shared_ptr<Device>& device,
                  const std::string& part, const LinearSize& shape) {
  const std::string name = "w8a8 over f32, " + shape.text();
  if (name.find(part) == std::string::npos) return;
  const LinearRow row = shape.row("i8_channel", TSR_ACT_I8_DYNAMIC);
  LinearSteps codes(device, row);
  LinearSteps floats(device, shape.row("f32", TSR_ACT_FLOAT));
  compare(
      name, operations_of(row), [&] { require(codes.steps().run()); },
      [&] { require(floats.steps().run()); });
}

constexpr LinearSize kInt8Shapes[] = {
    {512, 288, 288},   {512, 768, 768},   {512, 1024, 1024},
    {512, 1024, 4096}, {512, 4096, 1024}, {512, 2048, 2048},
    {512, 4096, 4096}, {500, 1000, 1000}, {128, 1024, 1024},
};

}  // namespace

void compare_int8_with_f32(const std::shared_ptr<Device>& device,
                           const std::string& part) {
  for (const LinearSize& s : kInt8Shapes) compare_int8(device, part, s);
}

}  // namespace tessera::device_test
