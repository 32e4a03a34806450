// SPDX-License-Identifier: Apache-2.0
//
// A host and a plugin of different minor versions work together.  Built with
// the headers of this version and of the next, against the probe plugin of
// either: PROBE_PLUGIN and PROBE_MINOR name it.

#include <gtest/gtest.h>

#include <cstring>

#include "tessera/names.hpp"
#include "tessera/record.hpp"
#include "tests/abi/probe_session.hpp"

namespace tessera::abi_test {
namespace {

// What this host writes into every field that a 1.0 plugin cannot know.
[[maybe_unused]] constexpr uint32_t kFromHost = 0x55667788;
[[maybe_unused]] constexpr uint32_t kFromPlugin =
    0x11223344;  // probe::kNextMinor
constexpr uint32_t kNextMinorOp = 13;

template <typename Struct>
void mark(Struct& value) {
#if TSR_ABI_MINOR >= 1
  value.next_minor = kFromHost;
  value.next_minor_reserved = kFromHost;
#else
  (void)value;
#endif
}

class Growth : public testing::Test {
 protected:
  ProbeSession session_{PROBE_PLUGIN};
  const tsr_api& api() { return session_.api(); }

  // y = add(linear(x), x) over [TOKENS, 2], marked wherever this host can.
  std::vector<uint64_t> make_program() {
    ProgramBuilder builder;
    builder.desc.id = kProgram;
    builder.weights = {kWeight};
    const uint32_t x = builder.tokens(TSR_F32, {2});
    const uint32_t hidden = builder.tokens(TSR_F32, {2});
    const uint32_t y = builder.tokens(TSR_F32, {2});
    builder.tensors[hidden].flags = TSR_TENSOR_TRANSIENT;
    for (tsr_tensor& tensor : builder.tensors) mark(tensor);
    mark(builder.desc);
    tsr_op_linear linear{};
    linear.x = x;
    linear.y = hidden;
    linear.bias = linear.multiplier = linear.residual = TSR_NONE;
    mark(linear);
    builder.op(TSR_OP_LINEAR, linear);
    tsr_op_elementwise add{};
    add.a = hidden;
    add.b = x;
    add.y = y;
    mark(add);
    builder.op(TSR_OP_ADD, add);
    return builder.build();
  }

  // Packs [[1, 2], [3, 4]] at byte 2048 of the buffer, in two slices.
  void pack_weight() {
    const float rows[] = {1, 2, 3, 4};
    F32Weight weight(2, 2, nullptr);
    mark(weight.desc);
    mark(weight.plane);
    tsr_packing* packing = nullptr;
    ASSERT_EQ(api().packing_begin(session_.device, kWeight, &weight.desc,
                                  kBuffer, 2048, &session_.error, &packing),
              TSR_OK)
        << session_.error.message;
    for (uint32_t n = 0; n < 2; ++n) {
      weight.plane.data = rows + 2 * n;
      ASSERT_EQ(
          api().packing_slice(packing, n, n + 1, &weight.desc, &session_.error),
          TSR_OK);
    }
    ASSERT_EQ(api().packing_end(packing, 1, &session_.error), TSR_OK)
        << session_.error.message;
  }
};

TEST_F(Growth, TheHeaderSaysWhichVersionsItSpeaks) {
  EXPECT_EQ(session_.header().abi_min, 1u << 16);
  EXPECT_EQ(session_.header().abi_max, 1u << 16 | PROBE_MINOR);
}

TEST_F(Growth, TheTablesSizeSaysWhichFunctionsAreThere) {
  constexpr int kAdded = PROBE_MINOR - TSR_ABI_MINOR;
  constexpr auto kTableBytes = static_cast<int>(sizeof(tsr_api));
  constexpr auto kFunctionBytes = static_cast<int>(sizeof(void*));
  EXPECT_EQ(static_cast<int>(api().struct_size),
            kTableBytes + kAdded * kFunctionBytes);
#if TSR_ABI_MINOR >= 1
  EXPECT_EQ(api().struct_size > offsetof(tsr_api, next_minor),
            PROBE_MINOR >= 1);
#endif
}

TEST_F(Growth, RowsOfAnotherSizeAreReadAndUnknownOnesSkipped) {
  tsr_array array{};
  ASSERT_EQ(api().device_kernels(0, nullptr, &array), TSR_OK);
  const sdk::Elements<tsr_kernel_desc> rows(array);
  std::vector<std::string> known;
  uint32_t skipped = 0;
  for (uint32_t i = 0; i < rows.size(); ++i) {
    const tsr_kernel_desc row = rows[i];
    if (row.op == kNextMinorOp) {
      ++skipped;
      continue;
    }
    known.push_back(sdk::names::op(row.op));
#if TSR_ABI_MINOR >= 1
    EXPECT_EQ(row.next_minor, PROBE_MINOR >= 1 ? kFromPlugin : 0);
#endif
  }
  EXPECT_EQ(known, (std::vector<std::string>{"add", "linear"}));
  EXPECT_EQ(skipped, PROBE_MINOR);
}

TEST_F(Growth, ResultsFillWhatBothSidesKnow) {
  struct {
    tsr_device_info info;
    uint64_t guard;
  } place{};
  place.info.struct_size = sizeof(place.info);
  place.guard = UINT64_MAX;
  ASSERT_EQ(api().device_info(0, nullptr, &place.info), TSR_OK);
  EXPECT_STREQ(place.info.name, "probe device");
  EXPECT_EQ(place.guard, UINT64_MAX);
  const sdk::Elements<tsr_memory_kind> kinds(place.info.memory_kinds);
  ASSERT_EQ(kinds.size(), 1u);
  EXPECT_EQ(kinds[0].alignment, 64u);
#if TSR_ABI_MINOR >= 1
  EXPECT_EQ(place.info.next_minor, PROBE_MINOR >= 1 ? kFromPlugin : 0);
#endif
}

TEST_F(Growth, ANewFieldPassesOnlyBetweenTwoSidesThatKnowIt) {
  F32Weight weight(2, 2, nullptr);
  mark(weight.desc);
  tsr_packed_info info{};
  info.struct_size = sizeof(info);
  ASSERT_EQ(api().weight_query(session_.device, &weight.desc, nullptr, &info),
            TSR_OK);
  EXPECT_EQ(info.bytes, 16u);
#if TSR_ABI_MINOR >= 1
  EXPECT_EQ(info.next_minor, PROBE_MINOR >= 1 ? kFromHost : 0);
#endif
}

TEST_F(Growth, AModelRuns) {
  pack_weight();
  const auto record = make_program();
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  ASSERT_EQ(api().program_create(session_.device, as_program(record),
                                 &session_.error, &info),
            TSR_OK)
      << session_.error.message;
  ASSERT_EQ(info.num_segments, 1u);
  tsr_segment segment{};
  segment.struct_size = sizeof(segment);
  ASSERT_EQ(api().program_segment(session_.device, kProgram, 0, &session_.error,
                                  &segment),
            TSR_OK)
      << session_.error.message;
  EXPECT_EQ(segment.first_op, 0u);
  EXPECT_EQ(segment.num_ops, 2u);

  float* memory = session_.floats();
  const float x[] = {1, 1, 10, 20, 100, 1000};
  std::memcpy(memory, x, sizeof(x));
  SubmissionBuilder step;
  step.value.kind = TSR_SUBMIT_PROGRAM;
  step.value.program = kProgram;
  step.value.num_tokens = 3;
  step.value.num_seqs = 1;
  step.bindings = {{0, 0, kBuffer, 0}, {2, 0, kBuffer, 1024}};
  mark(step.value);
  ASSERT_EQ(session_.submit(step, 1), TSR_OK);
  const float* y = memory + 256;
  const float expected[] = {3 + 1,    7 + 1,      50 + 10,
                            110 + 20, 2100 + 100, 4300 + 1000};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(y[i], expected[i]) << i;

  api().program_destroy(session_.device, kProgram);
  api().weight_destroy(session_.device, kWeight);
}

TEST_F(Growth, RefusalsReachTheHost) {
  ProgramBuilder builder;
  builder.op(kNextMinorOp + 1, tsr_op_softmax{});
  mark(builder.desc);
  const auto record = builder.build();
  struct {
    tsr_refusal refusal;
    uint64_t guard;
  } place{};
  place.guard = UINT64_MAX;
  uint32_t count = 0;
  EXPECT_EQ(api().check(session_.device, as_program(record), nullptr, nullptr,
                        &session_.error, &place.refusal, 1,
                        sizeof(place.refusal), &count),
            TSR_UNIMPLEMENTED);
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(place.refusal.reason, static_cast<uint32_t>(TSR_REFUSED_OP));
  EXPECT_LE(place.refusal.struct_size, sizeof(place.refusal));
  EXPECT_EQ(place.guard, UINT64_MAX);
}

TEST_F(Growth, ErrorsReachTheHost) {
  struct {
    tsr_error error;
    uint64_t guard;
  } place{};
  place.error.struct_size = sizeof(place.error);
  place.guard = UINT64_MAX;
  EXPECT_EQ(api().timeline_import(session_.device, kTimeline,
                                  &session_.timeline, &place.error),
            TSR_INVALID_ARGUMENT);
  EXPECT_STREQ(place.error.message, "timeline id 2 is 0 or taken");
  EXPECT_EQ(place.guard, UINT64_MAX);
}

TEST_F(Growth, OptionsReachThePlugin) {
  tsr_option_value value{};
  value.struct_size = sizeof(value);
  value.key = "trace";
  value.value = "2";
  mark(value);
  const tsr_array options{&value, 1, sizeof(value)};
  tsr_device* device = nullptr;
  EXPECT_EQ(api().device_open(0, &options, &session_.error, &device),
            TSR_INVALID_ARGUMENT);
  EXPECT_STREQ(session_.error.message, "probe: no option trace=2");
}

}  // namespace
}  // namespace tessera::abi_test
