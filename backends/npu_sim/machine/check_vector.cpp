// SPDX-License-Identifier: Apache-2.0
//
// What each vector function touches in UB, from its first byte to its last.

#include "backends/npu_sim/machine/check_vector.hpp"

#include <utility>

#include "backends/npu_sim/machine/row_state.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kFloatBytes = 4;

int64_t beats(int64_t bytes) {
  return (bytes + kBeatBytes - 1) / kBeatBytes * kBeatBytes;
}

int64_t bytes_of(Type type, int64_t elements) {
  return (elements * bits_of(type) + 7) / 8;
}

class Operands {
 public:
  explicit Operands(const Instruction& one)
      : one_(one), elements_(int64_t{one.m} * one.n) {}

  std::vector<UbOperand> all();

 private:
  void add(const char* name, uint64_t begin, int64_t bytes) {
    list_.push_back({name, begin, bytes});
  }
  // Rows that begin at multiples of 32 bytes, or `pitch` apart.
  int64_t rows(Type type) const {
    return (int64_t{one_.m} - 1) * beats(bytes_of(type, one_.n)) +
           bytes_of(type, one_.n);
  }
  int64_t rows_apart(int64_t pitch) const {
    return (int64_t{one_.m} - 1) * pitch + int64_t{one_.n} * kFloatBytes;
  }
  // Maxima at `at`, sums k bytes on.
  void add_states(const char* name, uint64_t at) {
    add(name, at, int64_t{one_.k} + int64_t{one_.m} * kFloatBytes);
  }
  void add_flat();
  void add_part();
  void add_heads();
  void add_scores();
  void add_sums();

  const Instruction& one_;
  int64_t elements_;
  std::vector<UbOperand> list_;
};

// Values or codes one after another.
void Operands::add_flat() {
  add("dst", one_.dst, bytes_of(one_.out_type, elements_));
  add("src", one_.src, bytes_of(one_.type, elements_));
  const int64_t rows = one_.k > 0 ? elements_ / one_.k : 0;
  switch (one_.function) {
    case VectorFunction::kQuantizeRows:
      return add("scales", one_.scales, rows * kFloatBytes);
    case VectorFunction::kQuantizeHeads:
      return add("scales", one_.scales, rows * kBeatBytes);
    case VectorFunction::kAdd:
    case VectorFunction::kSiluMul:
      if (one_.k == 0) return;
      return add(
          "src2", one_.src2,
          (int64_t{one_.k} - 1) * one_.inputs + bytes_of(one_.type, elements_));
    default:
      return;
  }
}

// Of a row, with what is known of it.
void Operands::add_part() {
  add("dst", one_.dst, bytes_of(one_.out_type, elements_));
  add("src", one_.src, bytes_of(one_.type, elements_));
  add("scales", one_.scales, kRowStateBytes);
}

// Flat rows of k that become columns of 32 bytes each.
void Operands::add_heads() {
  const int64_t rows = elements_ / one_.k;
  const int64_t columns =
      (bytes_of(one_.out_type, one_.k) + one_.row_bytes - 1) / one_.row_bytes;
  add("dst", one_.dst, rows * columns * kBeatBytes);
  add("src", one_.src, bytes_of(one_.type, elements_));
  if (one_.scales != 0) add("scales", one_.scales, rows * kBeatBytes);
}

// Rows of scores that give weights, codes or maxima.
void Operands::add_scores() {
  add("src", one_.src, rows(Type::kF32));
  if (one_.function != VectorFunction::kRowMaxima) {
    add("dst", one_.dst, rows(one_.out_type));
  }
  add_states("src2", one_.src2);
  if (one_.function == VectorFunction::kSoftmax) {
    add("scales", one_.scales, int64_t{one_.m} * kFloatBytes);
  }
}

// Rows of sums, `inputs` bytes apart.
void Operands::add_sums() {
  const int64_t apart = rows_apart(one_.inputs);
  const bool divides = one_.function == VectorFunction::kDivide;
  const bool merges = one_.function == VectorFunction::kMerge;
  add("dst", one_.dst, divides ? rows(one_.out_type) : apart);
  add("src", one_.src, divides || merges ? apart : rows(Type::kF32));
  if (merges) {
    add_states("src2", one_.src2);
    return add_states("scales", one_.scales);
  }
  if (divides && one_.type == Type::kS32) {
    add("src2", one_.src2, int64_t{one_.m} * kBeatBytes);
  }
  if (divides || one_.type != Type::kS32) {
    add("scales", one_.scales, int64_t{one_.m} * kFloatBytes);
  }
}

std::vector<UbOperand> Operands::all() {
  switch (one_.function) {
    case VectorFunction::kQuantize:
    case VectorFunction::kQuantizeRows:
    case VectorFunction::kQuantizeHeads:
    case VectorFunction::kWiden:
    case VectorFunction::kWidenCache:
    case VectorFunction::kAdd:
    case VectorFunction::kSiluMul:
    case VectorFunction::kGelu:
    case VectorFunction::kRmsNorm:
    case VectorFunction::kLayerNorm:
    case VectorFunction::kSoftmaxRows:
    case VectorFunction::kRotate:
      add_flat();
      break;
    case VectorFunction::kRowMaximum:
    case VectorFunction::kRowExponentials:
    case VectorFunction::kRowValues:
    case VectorFunction::kRowSquares:
    case VectorFunction::kRowDeviations:
    case VectorFunction::kRmsNormPart:
    case VectorFunction::kLayerNormPart:
    case VectorFunction::kSoftmaxPart:
      add_part();
      break;
    case VectorFunction::kAppendHeads:
      add_heads();
      break;
    case VectorFunction::kCast:
    case VectorFunction::kAddGroup:
    case VectorFunction::kFinish:
    case VectorFunction::kFinishSums:
      add("dst", one_.dst, rows(one_.out_type));
      add("src", one_.src, rows(one_.type));
      break;
    case VectorFunction::kSoftmax:
    case VectorFunction::kRowMaxima:
    case VectorFunction::kWeightCodes:
      add_scores();
      break;
    case VectorFunction::kRescale:
    case VectorFunction::kMerge:
    case VectorFunction::kDivide:
      add_sums();
      break;
    case VectorFunction::kJoinMaxima:
      add("dst", one_.dst, int64_t{one_.n} * kFloatBytes);
      add("src", one_.src, rows_apart(one_.inputs));
      break;
    case VectorFunction::kNone:
    case VectorFunction::kPart:
    case VectorFunction::kAccumulate:
      add("dst", one_.dst, bytes_of(one_.type, elements_));
      add("src", one_.src, bytes_of(one_.type, elements_));
      break;
  }
  return std::move(list_);
}

}  // namespace

std::vector<UbOperand> vector_operands(const Instruction& one) {
  return Operands(one).all();
}

}  // namespace tessera::npu
