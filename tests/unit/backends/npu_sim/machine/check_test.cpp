// SPDX-License-Identifier: Apache-2.0
//
// Every operand of every instruction against its memory: one that ends with
// the memory is taken, one that ends a beat later is refused by name.

#include "backends/npu_sim/machine/check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "backends/npu_sim/compiler/emitter.hpp"

namespace tessera::npu {
namespace {

using testing::HasSubstr;

constexpr int64_t kFractal = 512;
constexpr int64_t kBeat = 32;

// An instruction of which one operand begins at `at`, and how long that is.
struct Planted {
  const char* what;
  const char* chip;
  Space space;
  int64_t bytes;
  int64_t step;  // to what is one too far
  const char* operand;
  std::function<void(Emitter&, int64_t at)> emit;
};

Instruction& with(Instruction& one, VectorFunction function, int64_t m,
                  int64_t n) {
  one.function = function;
  one.m = static_cast<uint32_t>(m);
  one.n = static_cast<uint32_t>(n);
  one.type = Type::kF32;
  one.out_type = Type::kF16;
  return one;
}

// 4 rows of 8 values, 32 bytes each, with everything but `field` at the start.
Planted vector_case(const char* operand, VectorFunction function,
                    uint64_t Instruction::*field, int64_t bytes) {
  return {name_of(Opcode::kVector),
          "910b1",
          Space::kUb,
          bytes,
          kBeat,
          operand,
          [=](Emitter& out, int64_t at) {
            Instruction& one = with(out.vector(0, 8, 64), function, 4, 8);
            one.inputs = 64;
            one.k = 32;
            one.*field = static_cast<uint64_t>(at);
          }};
}

Planted scales_case(VectorFunction function, int64_t bytes) {
  return {name_of(Opcode::kVector),
          "910b1",
          Space::kUb,
          bytes,
          kBeat,
          "scales",
          [=](Emitter& out, int64_t at) {
            Instruction& one = with(out.vector(0, 8, 64), function, 4, 8);
            one.inputs = 64;
            one.k = 32;
            one.scales = static_cast<uint32_t>(at);
          }};
}

std::vector<Planted> move_cases() {
  return {
      {"copy_in", "910b1", Space::kL1, 4 * kBeat, kBeat, "dst",
       [](Emitter& out, int64_t at) {
         out.copy_in(Space::kL1, at, {0, 4, 20, 20});
       }},
      {"copy_in with a pitch", "910b1", Space::kUb, 2 * 96 + kBeat, kBeat,
       "dst",
       [](Emitter& out, int64_t at) {
         out.copy_in(Space::kUb, at, {0, 3, 32, 32}).pitch = 96;
       }},
      {"copy_in to fractals", "910b1", Space::kL1, 2 * kFractal, kBeat, "dst",
       [](Emitter& out, int64_t at) {
         out.copy_in(Space::kL1, at, {0, 9, 64, 64}).nd_to_nz = true;
       }},
      {"unzip", "310p", Space::kL1, 2 * kFractal, kBeat, "dst",
       [](Emitter& out, int64_t at) {
         Instruction& one = out.copy_in(Space::kL1, at, {0, 1, 32, 32});
         one.opcode = Opcode::kUnzip;
         one.n = 20;
         one.k = 30;
       }},
      {"copy_out", "910b1", Space::kUb, 4 * kBeat, kBeat, "src",
       [](Emitter& out, int64_t at) {
         out.copy_out(at, {0, 4, 20, 20});
       }},
      {"copy_out to l1", "310p", Space::kL1, 2 * kFractal, kBeat, "dst",
       [](Emitter& out, int64_t at) {
         Instruction& one =
             out.copy_out(0, {static_cast<uint64_t>(at), 9, 64, 64});
         one.dst_space = Space::kL1;
         one.nd_to_nz = true;
       }},
  };
}

std::vector<Planted> cube_cases() {
  return {
      {"load_a", "910b1", Space::kL0a, 2 * kFractal, kFractal, "dst",
       [](Emitter& out, int64_t at) { out.load_a(at, 0, 16, 32); }},
      {"load_a", "910b1", Space::kL1, 2 * kFractal, kBeat, "src",
       [](Emitter& out, int64_t at) {
         out.load_a(0, at, 16, 32).row_stride = kFractal;
       }},
      {"load_b", "910b1", Space::kL0b, 2 * kFractal, kFractal, "dst",
       [](Emitter& out, int64_t at) { out.load_b(at, 0, 16, 32); }},
      {"mmad", "910b1", Space::kL0c, 1024, 1024, "dst",
       [](Emitter& out, int64_t at) { out.mmad(at, 16, 16, 16); }},
      {"mmad", "910b1", Space::kL0a, kFractal, kFractal, "src",
       [](Emitter& out, int64_t at) {
         out.mmad(0, 16, 16, 16).src = static_cast<uint64_t>(at);
       }},
      {"mmad", "910b1", Space::kL0b, kFractal, kFractal, "src2",
       [](Emitter& out, int64_t at) {
         out.mmad(0, 16, 16, 16).src2 = static_cast<uint64_t>(at);
       }},
      {"fixpipe", "910b1", Space::kL0c, 1024, 64, "src",
       [](Emitter& out, int64_t at) {
         out.fixpipe(at, 16, 16, {0, 16, 32, 32});
       }},
      {"drain", "310p", Space::kL0c, 1024, 64, "src",
       [](Emitter& out, int64_t at) { out.drain(0, at, 16, 16); }},
      {"drain", "310p", Space::kUb, 1024, kBeat, "dst",
       [](Emitter& out, int64_t at) { out.drain(at, 0, 16, 16); }},
  };
}

std::vector<Planted> vector_cases() {
  const auto dst = &Instruction::dst;
  const auto src = &Instruction::src;
  const auto src2 = &Instruction::src2;
  using enum VectorFunction;
  return {vector_case("dst", kNone, dst, 128),
          vector_case("src", kPart, src, 128),
          vector_case("dst", kQuantize, dst, 64),
          vector_case("src", kWiden, src, 128),
          vector_case("dst", kFinish, dst, 3 * 32 + 16),
          vector_case("src", kFinish, src, 128),
          vector_case("src2", kAdd, src2, 31 * 64 + 128),
          vector_case("src", kSoftmax, src, 128),
          vector_case("dst", kSoftmax, dst, 3 * 32 + 16),
          vector_case("src2", kSoftmax, src2, 32 + 16),
          vector_case("src2", kRowMaxima, src2, 32 + 16),
          vector_case("src2", kWeightCodes, src2, 32 + 16),
          vector_case("dst", kRescale, dst, 3 * 64 + 32),
          vector_case("src", kDivide, src, 3 * 64 + 32),
          vector_case("src2", kMerge, src2, 32 + 16),
          vector_case("src", kJoinMaxima, src, 3 * 64 + 32),
          scales_case(kSoftmax, 16),
          scales_case(kRescale, 16),
          scales_case(kMerge, 32 + 16),
          scales_case(kDivide, 16),
          scales_case(kQuantizeRows, 4),
          scales_case(kQuantizeHeads, 32)};
}

std::vector<Planted> all_cases() {
  std::vector<Planted> cases = move_cases();
  for (const auto& more : {cube_cases(), vector_cases()}) {
    cases.insert(cases.end(), more.begin(), more.end());
  }
  return cases;
}

std::string refusal(const Planted& test, int64_t at) {
  std::vector<Instruction> list;
  Emitter out(list);
  test.emit(out, at);
  Stream::Core core;
  core.has_cube = core.has_vector = true;
  return violation(load_profile(test.chip), core, list.at(0));
}

TEST(Check, OperandsMayEndWithTheirMemoryAndNoLater) {
  for (const Planted& test : all_cases()) {
    const int64_t capacity = capacity_of(load_profile(test.chip), test.space);
    const int64_t last = (capacity - test.bytes) / test.step * test.step;
    const std::string name = std::string(test.what) + " " + test.operand +
                             " in " + name_of(test.space);
    EXPECT_EQ(refusal(test, last), "") << name;
    const std::string wrong = refusal(test, last + test.step);
    EXPECT_THAT(wrong, HasSubstr(std::string(test.operand) + " " +
                                 name_of(test.space) + "["))
        << name;
    EXPECT_THAT(wrong, HasSubstr("is beyond its " + std::to_string(capacity) +
                                 " bytes"))
        << name;
  }
}

TEST(Check, NothingIsWrittenWhereNoWireLeads) {
  std::vector<Instruction> list;
  Emitter out(list);
  out.copy_out(0, {0, 1, 32, 32}).dst_space = Space::kL0a;
  out.copy_in(Space::kL0c, 0, {0, 1, 32, 32});
  Stream::Core core;
  core.has_cube = core.has_vector = true;
  const Profile profile = load_profile("310p");
  EXPECT_THAT(violation(profile, core, list[0]), HasSubstr("cannot write l0a"));
  EXPECT_THAT(violation(profile, core, list[1]), HasSubstr("cannot write l0c"));
}

}  // namespace
}  // namespace tessera::npu
