// SPDX-License-Identifier: Apache-2.0
//
// Threads and lifetimes as tessera/plugin.h writes them per object, and that no
// error ends anything but its call.  Meant for the sanitizer builds, too.

#include <gtest/gtest.h>

#include <thread>

#include "tests/abi/probe_session.hpp"

namespace tessera::abi_test {
namespace {

constexpr int kThreads = 4;

template <typename Body>
void on_threads(Body&& body) {
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (uint32_t i = 0; i < kThreads; ++i) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

class Lifetime : public testing::Test {
 protected:
  ProbeSession session_{PROBE_PLUGIN};
  const tsr_api& api() { return session_.api(); }
  tsr_device* device() { return session_.device; }

  tsr_status create_buffer(uint64_t id, tsr_error* err) {
    tsr_buffer_desc desc{};
    desc.struct_size = sizeof(desc);
    desc.id = id;
    desc.bytes = 64;
    return api().buffer_create(device(), &desc, err);
  }
};

TEST_F(Lifetime, TheTableIsReadFromAnyThread) {
  on_threads([&](uint32_t) {
    for (int i = 0; i < 100; ++i) {
      tsr_device_info info{};
      info.struct_size = sizeof(info);
      EXPECT_EQ(api().device_info(0, nullptr, &info), TSR_OK);
      tsr_array kernels{};
      EXPECT_EQ(api().device_kernels(0, nullptr, &kernels), TSR_OK);
    }
  });
}

TEST_F(Lifetime, ADeviceIsUsedFromAnyThread) {
  on_threads([&](uint32_t thread) {
    tsr_error error{};
    error.struct_size = sizeof(error);
    for (uint64_t i = 0; i < 100; ++i) {
      const uint64_t id = 1000 + i * kThreads + thread;
      EXPECT_EQ(create_buffer(id, &error), TSR_OK) << error.message;
      void* memory = nullptr;
      EXPECT_EQ(api().buffer_map(device(), id, &error, &memory), TSR_OK);
      api().buffer_destroy(device(), id);
    }
  });
}

TEST_F(Lifetime, AnIdMadeOnOneThreadServesAnother) {
  std::thread([&] { EXPECT_EQ(create_buffer(50, nullptr), TSR_OK); }).join();
  void* memory = nullptr;
  EXPECT_EQ(api().buffer_map(device(), 50, nullptr, &memory), TSR_OK);
  std::thread([&] { api().buffer_destroy(device(), 50); }).join();
  EXPECT_EQ(api().buffer_map(device(), 50, nullptr, &memory), TSR_NOT_FOUND);
}

TEST_F(Lifetime, DisjointSlicesArePackedFromSeveralThreads) {
  constexpr uint32_t kRows = 8;
  float codes[kRows * 2];
  for (uint32_t i = 0; i < kRows * 2; ++i) codes[i] = static_cast<float>(i);
  const F32Weight whole(kRows, 2, nullptr);
  tsr_packing* packing = nullptr;
  ASSERT_EQ(api().packing_begin(device(), kWeight, &whole.desc, kBuffer, 0,
                                &session_.error, &packing),
            TSR_OK);
  on_threads([&](uint32_t thread) {
    const uint32_t n = thread * kRows / kThreads;
    const F32Weight slice(kRows, 2, codes + 2 * n);
    EXPECT_EQ(api().packing_slice(packing, n, n + kRows / kThreads, &slice.desc,
                                  nullptr),
              TSR_OK);
  });
  ASSERT_EQ(api().packing_end(packing, 1, &session_.error), TSR_OK)
      << session_.error.message;
  const float* packed = session_.floats();  // transposed
  for (uint32_t n = 0; n < kRows; ++n) {
    EXPECT_EQ(packed[n], codes[2 * n]);
    EXPECT_EQ(packed[kRows + n], codes[2 * n + 1]);
  }
}

TEST_F(Lifetime, ACancelledPackingLeavesNothing) {
  const F32Weight weight(2, 2, nullptr);
  tsr_packing* packing = nullptr;
  ASSERT_EQ(api().packing_begin(device(), kWeight, &weight.desc, kBuffer, 0,
                                &session_.error, &packing),
            TSR_OK);
  EXPECT_EQ(api().packing_end(packing, 0, &session_.error), TSR_OK);
  // The id is free again.
  EXPECT_EQ(api().weight_create(device(), kWeight, &weight.desc, kBuffer, 0,
                                &session_.error),
            TSR_OK);
}

TEST_F(Lifetime, APackingWithMissingRowsDoesNotCommit) {
  const F32Weight weight(2, 2, nullptr);
  tsr_packing* packing = nullptr;
  ASSERT_EQ(api().packing_begin(device(), kWeight, &weight.desc, kBuffer, 0,
                                &session_.error, &packing),
            TSR_OK);
  EXPECT_EQ(api().packing_end(packing, 1, &session_.error),
            TSR_FAILED_PRECONDITION);
}

// A program keeps what it was made from, as a submission in flight would need.
TEST_F(Lifetime, DestroyingAProgramsBufferEndsNothingElse) {
  ASSERT_EQ(create_buffer(60, nullptr), TSR_OK);
  ProgramBuilder builder;
  builder.desc.id = kProgram;
  const uint32_t x = builder.fixed(TSR_F32, {4});
  builder.op(TSR_OP_ADD, tsr_op_elementwise{{}, x, x, x, 0});
  builder.bindings = {{x, 0, 60, 0}};
  const auto record = builder.build();
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  ASSERT_EQ(api().program_create(device(), as_program(record), nullptr, &info),
            TSR_OK);
  api().buffer_destroy(device(), 60);
  SubmissionBuilder step;
  step.value.kind = TSR_SUBMIT_PROGRAM;
  step.value.program = kProgram;
  EXPECT_EQ(session_.submit(step, 1), TSR_OK);
}

TEST_F(Lifetime, AnErrorLeavesDeviceAndQueueUsable) {
  SubmissionBuilder bad;
  bad.value.kind = TSR_SUBMIT_COPY;
  bad.value.src = bad.value.dst = 12345;
  EXPECT_EQ(session_.submit(bad, 1), TSR_NOT_FOUND);
  EXPECT_EQ(session_.timeline.value, UINT64_MAX);
  // The host gives the next submission a timeline that has not failed.
  session_.timeline.value = 0;
  session_.timeline.status = TSR_OK;
  SubmissionBuilder good;
  good.value.kind = TSR_SUBMIT_COPY;
  good.value.src = good.value.dst = kBuffer;
  good.value.bytes = 4;
  EXPECT_EQ(session_.submit(good, 1), TSR_OK);
}

TEST_F(Lifetime, AFailedWaitFailsWhatFollows) {
  alignas(64) tsr_timeline failed{};
  signal_timeline(nullptr, &failed, 1, TSR_INTERNAL);
  ASSERT_EQ(api().timeline_import(device(), 70, &failed, nullptr), TSR_OK);
  float* memory = session_.floats();
  memory[0] = 1;
  memory[1] = 2;
  SubmissionBuilder copy;
  copy.value.kind = TSR_SUBMIT_COPY;
  copy.value.src = copy.value.dst = kBuffer;
  copy.value.dst_offset = 4;
  copy.value.bytes = 4;
  copy.waits = {{70, 1}};
  EXPECT_EQ(session_.submit(copy, 1), TSR_INTERNAL);
  EXPECT_EQ(memory[1], 2) << "the work ran though its wait failed";
  api().timeline_forget(device(), 70);
}

// The device lives on, and says that less would do.
TEST_F(Lifetime, RunningOutOfMemoryIsAnErrorAndNoMore) {
  tsr_buffer_desc huge{};
  huge.struct_size = sizeof(huge);
  huge.id = 80;
  huge.bytes = UINT64_MAX - 4096;
  EXPECT_EQ(api().buffer_create(device(), &huge, &session_.error),
            TSR_RESOURCE_EXHAUSTED);
  EXPECT_EQ(session_.error.retry, static_cast<uint32_t>(TSR_RETRY_SMALLER));
  EXPECT_EQ(create_buffer(80, nullptr), TSR_OK);
}

}  // namespace
}  // namespace tessera::abi_test
