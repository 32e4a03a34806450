// SPDX-License-Identifier: Apache-2.0
//
// The machine's claims: order by flags alone, refusal of what does not fit,
// deadlocks with names.

#include "backends/npu_sim/machine/machine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "backends/npu_sim/compiler/emitter.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Machine : public testing::Test {
 protected:
  double cycles() const {
    return run_stream(profile_, Stream::of({list_}), false).cycles;
  }
  std::string refusal() const {
    try {
      run_stream(profile_, Stream::of({list_}), false);
    } catch (const sdk::Error& error) {
      return error.what();
    }
    return "no error";
  }
  MachineRun traced() const {
    return run_stream(profile_, Stream::of({list_}), true);
  }

  Profile profile_ = with_parameters(load_profile("910b1"),
                                     {{"assumptions.dispatch_cycles", 0}});
  std::vector<Instruction> list_;
  Emitter emit_{list_};
};

// 16x16x16 fractals, one a cycle: 128 * 256 * 64 / 4096 = 512, and the issue.
TEST_F(Machine, MmadTakesItsFractalsAndTheIssue) {
  for (int i = 0; i < 3; ++i) emit_.mmad(0, 128, 256, 64);
  const MachineRun run = traced();
  ASSERT_EQ(run.trace.size(), 3U);
  EXPECT_DOUBLE_EQ(run.trace[1].begin_cycle - run.trace[0].begin_cycle, 521);
  EXPECT_DOUBLE_EQ(run.counters.macs_f16, 3.0 * 128 * 256 * 64);
}

TEST_F(Machine, WorkHasAnEnd) {
  for (int i = 0; i < 100; ++i) emit_.mmad(0, 16, 16, 16);
  const Stream stream = Stream::of({list_});
  EXPECT_EQ(run_stream(profile_, stream, false, 100).counters.instructions,
            100);
  try {
    run_stream(profile_, stream, false, 99);
    FAIL() << "more work than allowed";
  } catch (const sdk::Error& error) {
    EXPECT_EQ(error.code(), TSR_INVALID_ARGUMENT);
    EXPECT_THAT(error.what(), HasSubstr("not ended"));
  }
}

TEST_F(Machine, ScalarUnitIsBusyWithWhatItIssuesAndReads) {
  profile_ = with_parameters(profile_, {{"assumptions.dispatch_cycles", 2}});
  emit_.mmad(0, 16, 16, 16);
  emit_.set(Pipe::kCube, Pipe::kFixpipe, 0);
  emit_.wait(Pipe::kCube, Pipe::kFixpipe, 0);
  emit_.scalar(100);
  const MachineRun run = traced();
  EXPECT_DOUBLE_EQ(
      run.counters.busy_cycles.at(static_cast<size_t>(Pipe::kScalar)),
      4 * 2 + 100);
  const TraceEvent& issue = run.trace.back();
  EXPECT_STREQ(issue.name, "issue");
  EXPECT_EQ(issue.pipe, Pipe::kScalar);
  EXPECT_DOUBLE_EQ(issue.begin_cycle, 0);
  EXPECT_DOUBLE_EQ(issue.end_cycle, 4 * 2);
}

TEST_F(Machine, ScalarUnitIsIdleWhileAQueueIsFull) {
  profile_ = with_parameters(profile_, {{"assumptions.dispatch_cycles", 2}});
  constexpr int kProducts = 40;
  for (int i = 0; i < kProducts; ++i) emit_.mmad(0, 128, 256, 64);
  double issuing = 0;
  int intervals = 0;
  for (const TraceEvent& event : traced().trace) {
    if (event.pipe != Pipe::kScalar) continue;
    ++intervals;
    issuing += event.end_cycle - event.begin_cycle;
  }
  EXPECT_DOUBLE_EQ(issuing, 2 * kProducts);
  // 32 at once and one that waits; then each when a product has begun.
  EXPECT_EQ(intervals, kProducts - 32);
}

TEST_F(Machine, PipesRunBesideEachOtherWithoutFlags) {
  emit_.load_a(0, 0, 128, 64);
  emit_.mmad(0, 128, 256, 64);
  EXPECT_DOUBLE_EQ(traced().trace[1].begin_cycle, 0);
}

TEST_F(Machine, FlagHoldsAPipeUntilTheOtherIsComplete) {
  emit_.load_a(0, 0, 128, 64);
  emit_.set(Pipe::kMte1, Pipe::kCube, 3);
  emit_.wait(Pipe::kMte1, Pipe::kCube, 3);
  emit_.mmad(0, 128, 256, 64);
  const MachineRun run = traced();
  EXPECT_DOUBLE_EQ(run.trace[1].begin_cycle, run.trace[0].end_cycle);
}

TEST_F(Machine, WaitAheadOfItsSetInTheStreamIsServed) {
  emit_.wait(Pipe::kMte1, Pipe::kCube, 0);
  emit_.mmad(0, 16, 16, 16);
  emit_.load_a(0, 0, 16, 16);
  emit_.set(Pipe::kMte1, Pipe::kCube, 0);
  EXPECT_GT(cycles(), 0);
}

TEST_F(Machine, DeadlockNamesTheFlags) {
  emit_.wait(Pipe::kMte1, Pipe::kCube, 5);
  emit_.set(Pipe::kCube, Pipe::kMte1, 6);
  emit_.wait(Pipe::kCube, Pipe::kMte1, 6);
  emit_.set(Pipe::kMte1, Pipe::kCube, 5);
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("deadlock"),
                    HasSubstr("core 0 cube waits for flag 5 of mte1"),
                    HasSubstr("core 0 mte1 waits for flag 6 of cube")));
}

TEST_F(Machine, FlagThatNobodyWaitsForIsRefused) {
  for (int i = 0; i < 16; ++i) emit_.set(Pipe::kMte1, Pipe::kCube, 0);
  EXPECT_THAT(refusal(), HasSubstr("set 15 times"));
}

TEST_F(Machine, OperandBeyondItsMemoryIsRefused) {
  emit_.load_a(32768, 0, 256, 128);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("core 0"), HasSubstr("l0a[32768"),
                               HasSubstr("65536 bytes")));
}

TEST_F(Machine, EachMemoryIsChecked) {
  const auto check = [&](const char* memory, auto&& body) {
    list_.clear();
    body();
    EXPECT_THAT(refusal(), HasSubstr(memory)) << memory;
  };
  check("l0b[", [&] { emit_.load_b(0, 0, 512, 128); });
  check("l0c[", [&] { emit_.mmad(1024, 128, 256, 16); });
  check("l1[", [&] { emit_.copy_in(Space::kL1, 524256, {0, 2, 32, 32}); });
  check("ub[", [&] { emit_.copy_in(Space::kUb, 0, {0, 1, 196640, 196640}); });
  check("ub[", [&] { emit_.vector(196608, 16, 128); });
  check("l0c[", [&] { emit_.fixpipe(131072, 16, 16, {0, 16, 32, 32}); });
}

TEST_F(Machine, AddressOffItsAlignmentIsRefused) {
  emit_.load_a(256, 0, 16, 16);
  EXPECT_THAT(refusal(), HasSubstr("multiple of 512"));
}

TEST_F(Machine, InstructionOnAnotherPipeIsRefused) {
  emit_.mmad(0, 16, 16, 16).pipe = Pipe::kMte1;
  EXPECT_THAT(refusal(), HasSubstr("belongs on cube"));
}

TEST_F(Machine, FixpipeIsRefusedWhereThereIsNone) {
  profile_ = load_profile("310p");
  emit_.fixpipe(0, 16, 16, {0, 16, 32, 32});
  EXPECT_THAT(refusal(), HasSubstr("no fixpipe"));
}

TEST_F(Machine, ShortDescriptorsCostTheirIssue) {
  for (int i = 0; i < 100; ++i) {
    emit_.copy_in(Space::kUb, 0,
                  {gm_address(Tensor::kInput, i * 512), 1, 128, 128});
  }
  EXPECT_NEAR(
      traced().counters.busy_cycles.at(static_cast<size_t>(Pipe::kMte2)),
      100 * profile_.global.dma_issue_cycles, 1e-6);
}

// 1 / 0.7 for rows that start off a beat of 32 bytes.
TEST_F(Machine, UnalignedRowsCostMore) {
  const auto busy = [&](int64_t stride) {
    list_.clear();
    emit_.copy_in(Space::kL1, 0,
                  {gm_address(Tensor::kInput, 0), 64, 2048, stride});
    return traced().counters.busy_cycles.at(static_cast<size_t>(Pipe::kMte2));
  };
  EXPECT_NEAR(busy(8190) / busy(8192), 1 / 0.7, 1e-6);
}

TEST_F(Machine, ScalarUnitStopsAtAFullQueue) {
  profile_ = load_profile("910b1");
  for (int i = 0; i < 200; ++i) emit_.mmad(0, 128, 256, 64);
  emit_.load_a(0, 0, 16, 16);
  const MachineRun run = traced();
  // The load is handed over once all but 32 products are.
  EXPECT_GE(run.trace.back().begin_cycle, 0);
  for (const TraceEvent& event : run.trace) {
    if (event.pipe != Pipe::kMte1) continue;
    EXPECT_GE(event.begin_cycle, 160 * 521.0);
  }
}

}  // namespace
}  // namespace tessera::npu
