// SPDX-License-Identifier: Apache-2.0
//
// Copies, and what a device says of itself.

#include <gmock/gmock.h>

#include "tests/unit/backends/device/copy_case.hpp"
#include "tests/unit/backends/device/op_runner.hpp"

namespace tessera::device_test {
namespace {

using testing::HasSubstr;

TEST(DeviceMemory, CopiesMoveBytesBetweenAndWithinBuffers) {
  TSR_OPEN_OR_SKIP(device, {});
  expect_copies(device);
}

TEST(DeviceOptions, RefusesUnknownOptionsByName) {
  TSR_OPEN_OR_SKIP(device, {});
  EXPECT_THAT(try_open({{"speed", "9"}}).status().message(),
              HasSubstr("no option speed"));
}

TEST(DeviceProfile, AProfileHasTheTimeOfEveryOp) {
  TSR_OPEN_OR_SKIP(device, {});
  std::mt19937 rng(42);
  const TestTensor a(*device, TSR_F32, 4, 64, rng);
  const TestTensor y(*device, TSR_F32, 4, 64);
  OpRunner op(device);
  tsr_op_elementwise map{};
  map.op.kind = TSR_OP_ADD;
  map.a = map.b = op.add(a);
  map.y = op.add(y);
  op.program().add_op(map);
  op.step().flags = TSR_SUBMIT_PROFILE;
  ASSERT_TRUE(op.run(4).ok());
  const auto records = device->profile_read();
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->size(), 1u);
  EXPECT_STREQ(records->front().kernel, "add");
  EXPECT_LT(records->front().begin_ns, records->front().end_ns);
}

}  // namespace
}  // namespace tessera::device_test
