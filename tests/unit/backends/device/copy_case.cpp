// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/device/copy_case.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "framework/host/device/record_builder.hpp"
#include "framework/host/device/timeline.hpp"
#include "tests/unit/backends/device/shared_buffer.hpp"

namespace tessera::device_test {

void expect_copies(const std::shared_ptr<Device>& device) {
  const auto a = SharedBuffer::create(*device, 64);
  const auto b = SharedBuffer::create(*device, 64);
  ASSERT_TRUE(a.ok() && b.ok());
  auto* from = reinterpret_cast<unsigned char*>(a->memory());
  auto* to = reinterpret_cast<unsigned char*>(b->memory());
  for (unsigned char i = 0; i < 64; ++i) from[i] = i;
  std::memset(to, 0xff, 64);
  auto queue = device->create_queue();
  ASSERT_TRUE(queue.ok());
  Timeline timeline;
  const auto id = timeline.import_into(device);
  ASSERT_TRUE(id.ok());
  SubmissionBuilder copy(TSR_SUBMIT_COPY);
  copy.add_signal({*id, 1});
  tsr_submission& record = copy.record();
  record.src = a->id();
  record.dst = b->id();
  record.src_offset = 8;
  record.dst_offset = 16;
  record.bytes = 24;
  ASSERT_TRUE(queue->submit(record).ok());
  ASSERT_TRUE(timeline.wait(1).ok());
  for (unsigned char i = 0; i < 24; ++i) EXPECT_EQ(to[16 + i], 8 + i);
  EXPECT_EQ(to[15], 0xff);
  EXPECT_EQ(to[40], 0xff);

  copy.signal(0).value = 2;
  tsr_submission& again = copy.record();
  again.dst = a->id();  // overlapping
  ASSERT_TRUE(queue->submit(again).ok());
  ASSERT_TRUE(timeline.wait(2).ok());
  for (unsigned char i = 0; i < 24; ++i) EXPECT_EQ(from[16 + i], 8 + i);
}

}  // namespace tessera::device_test
