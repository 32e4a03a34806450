// SPDX-License-Identifier: Apache-2.0
//
// Short forms of the instructions that the lowerings write.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/machine/stream.hpp"

namespace tessera::npu {

// GM as the lowerings lay it out: one terabyte for each tensor.
enum class Tensor : uint64_t {
  kInput = 1,
  kWeight,
  kOutput,
  kOther,         // the second input of an epilogue
  kCodes,         // the input after quantization
  kWideWeight,    // the weight after dequantization; of attention, K
  kAccumulators,  // between cube and vector cores
  kPartials,      // of split sums
  kScales,
  kKeyScales,  // of an int8 cache: of tokens, or of dims
  kValueScales,
  kWideValues,   // V after dequantization
  kMarks,        // of rows of queries: 1, or NaN
  kGroupScales,  // of a weight that is widened
  kIndices,      // what the addresses of copies depend on
  kKeyCache,     // what kv_append fills
  kValueCache,
};

inline uint64_t gm_address(Tensor tensor, int64_t offset) {
  return (static_cast<uint64_t>(tensor) << kTensorBits) +
         static_cast<uint64_t>(offset);
}

// A rectangle of a row-major tensor.
struct Rectangle {
  uint64_t address = 0;
  int64_t rows = 0;
  int64_t row_bytes = 0;
  int64_t row_stride = 0;
};

class Emitter {
 public:
  explicit Emitter(std::vector<Instruction>& out) : out_(out) {}

  void set(Pipe from, Pipe to, int64_t flag);
  void wait(Pipe from, Pipe to, int64_t flag);
  void set_sibling(Pipe from, Pipe to, int64_t flag, int64_t sibling);
  void wait_sibling(Pipe from, Pipe to, int64_t flag, int64_t sibling);
  void sync_all();
  // The one that was added `count` before the end.
  Instruction& back(int64_t count) {
    return out_[out_.size() - static_cast<size_t>(count)];
  }

  Instruction& copy_in(Space space, int64_t dst, const Rectangle& source);
  Instruction& copy_out(int64_t src, const Rectangle& target);
  Instruction& load_a(int64_t dst, int64_t src, int64_t m, int64_t k);
  Instruction& load_b(int64_t dst, int64_t src, int64_t n, int64_t k);
  Instruction& mmad(int64_t dst, int64_t m, int64_t n, int64_t k);
  Instruction& fixpipe(int64_t src, int64_t m, int64_t n,
                       const Rectangle& target);
  Instruction& drain(int64_t dst, int64_t src, int64_t m, int64_t n);
  // `elements` of a 32-bit or 16-bit operand at UB offset `at`, in place.
  Instruction& vector(int64_t at, int64_t elements, double elements_per_cycle);
  // The time of `count` further passes over what the last one reads.
  void further_passes(double count, double elements_per_cycle, bool conflicts);
  void scalar(double cycles);

 private:
  Instruction& add(Opcode opcode, Pipe pipe);

  std::vector<Instruction>& out_;
};

}  // namespace tessera::npu
