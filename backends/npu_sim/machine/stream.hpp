// SPDX-License-Identifier: Apache-2.0
//
// The instructions of the simulated chip, and a launch as streams of them.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backends/npu_sim/problem/problem.hpp"

namespace tessera::npu {

// The queues of a core.  Each runs its instructions in order; only flags order
// one pipe after another.
enum class Pipe : uint8_t {
  kScalar,
  kCube,
  kVector,
  kMte1,     // L1 -> L0A, L0B
  kMte2,     // GM -> L1, UB
  kMte3,     // UB -> GM, L1
  kFixpipe,  // L0C -> GM, with quantization
};
inline constexpr int kNumPipes = 7;
inline constexpr int kNumFlags = 16;    // of each ordered pair of pipes
inline constexpr int kTensorBits = 40;  // of a GM address below its tensor
const char* name_of(Pipe pipe);

// What buffers are addressed by, rows begin at, and a write in GM takes whole.
inline constexpr int64_t kBeatBytes = 32;

enum class Space : uint8_t { kGm, kL1, kL0a, kL0b, kL0c, kUb };
const char* name_of(Space space);

enum class Opcode : uint8_t {
  kSetFlag,
  kWaitFlag,
  kCopyIn,   // GM -> L1 or UB; rows of row_bytes, row_stride apart
  kUnzip,    // GM -> L1: tiles of W8A8SC, expanded
  kLoadA,    // L1 (NZ) -> L0A (ZZ)
  kLoadB,    // L1 (NZ) -> L0B (ZN)
  kMmad,     // L0C += L0A . L0B
  kFixpipe,  // L0C -> GM: quantize, NZ -> ND
  kDrain,    // L0C -> UB on the vector pipe
  kVector,   // UB -> UB
  kCopyOut,  // UB -> GM or L1
  kScalar,   // addresses and loop control
  kSyncAll,  // no core goes on before all have finished
};
const char* name_of(Opcode opcode);

// What a vector instruction does to its data.  Rows in UB begin at multiples of
// 32 bytes, save where elements are said to be flat.
enum class VectorFunction : uint8_t {
  kNone,          // not carried out: such a stream can be timed only
  kPart,          // a further pass of what another instruction carries out
  kQuantize,      // flat codes dst = clamp(round(f16 src * inv) + zero_point)
  kQuantizeRows,  // codes of flat rows of k, by the maximum of each; their
                  // scales to `scales`
  kWiden,         // flat values dst = code src * its scale; src2: the number of
                  // the first in the weight
  kFinish,        // result dst from sums src, an [m, n] tile whose first column
                  // is src2: scales, bias, activation, then what lies at
                  // `inputs`, one tile after another
  kAccumulate,    // dst += src, f32 or s32
  kAddGroup,      // f32 sums dst of an [m, n] tile whose first column is src2:
                  // dst (else 0) + s32 src by the scale of the column and group
                  // k, in one rounding
  kFinishSums,    // as kFinish, from what kAddGroup made
  kAdd,           // dst = src + what lies at src2, `inputs` bytes apart, k of
                  // them
  kSoftmax,       // weights dst from scores src, [m, n] keys; maxima at src2,
                  // sums k bytes on, factors to `scales`.  row_bytes: the first
                  // row; row_stride: the last key of the tile that token 0
                  // sees, signed
  kRescale,     // dst = dst * factor of the row + src; dst rows `inputs` bytes
                // apart; of s32 without the factor
  kMerge,       // dst with its maxima and sums at src2, k bytes apart, and src
                // with its own at `scales`, as one; rows `inputs` apart; of s32
                // without maxima
  kDivide,      // result dst = src / sum of the row at `scales`; rows of src
                // `inputs` apart; of s32 times the scale of V of KV head k, and
                // the row's mark at src2, 32 bytes apart
  kWidenCache,  // flat values dst = code src * scale, m columns of 16 dims
                // with all keys of n / 16; a scale at `scales` for each key,
                // or, k not 0, each dim
  kQuantizeHeads,  // codes of flat rows of k, number src2 / k the first, by
                   // the scale of the row's head; marks to `scales`
  kRowMaxima,      // s32 maxima at src2 from scores src; as kSoftmax
  kJoinMaxima,     // dst: the largest of m rows of n s32, `inputs` apart
  kSiluMul,        // flat values dst = silu(src) * what lies at src2
  kGelu,           // flat values dst = gelu(src)
  kRmsNorm,        // flat rows of k; dst = src over its root mean square
  kLayerNorm,      // likewise, by mean and variance
  kSoftmaxRows,    // likewise, exp over its sum
  // Of a row of k that comes in parts, each of n from column src2 on.  What is
  // known of it lies at `scales` (row_state.hpp); the first part starts it,
  // the others `accumulate`.
  kRowMaximum,       // the largest of src times softmax's scale
  kRowExponentials,  // first sums: exp(src times the scale - the largest)
  kRowValues,        // first sums: src
  kRowSquares,       // second sums: src^2
  kRowDeviations,    // second sums: (src - mean)^2
  kRmsNormPart,      // result dst of src, like the next two
  kLayerNormPart,
  kSoftmaxPart,
  kRotate,       // likewise, heads turned by their positions; number src2 of
                 // the tensor's elements is the first
  kCast,         // [m, n] dst = src in another type
  kAppendHeads,  // columns of the cache, each with 32 bytes of UB, from flat
                 // rows of k, (token, KV head) number src2 the first; their
                 // scales, 32 bytes apart, to `scales`; `inputs`: 0 keys, 1
                 // values
  kWeightCodes,  // codes dst from scores src by maxima at src2, sums k bytes
                 // on; as kSoftmax; `inputs`: the query head of row 0
};

// How the fixpipe turns an accumulator into an element.
enum class FixpipeMode : uint8_t {
  kNone,     // f32 or s32 as it is
  kF16,      // f32 -> f16, round to nearest even
  kDeqF16,   // s32 -> f16 by QUANT_PRE
  kReq8,     // s32 -> s8 by QUANT_PRE
  kBf16,     // f32, or s32 by QUANT_PRE -> bf16, round to nearest even
  kQf322B8,  // f32 -> s8 by QUANT_PRE
};

// Where a copy's rows lie in GM if data say it: index i of the launch's list,
// the scalar unit having read it, moves them by i / per_block blocks and i %
// per_block entries.  A negative one moves nothing.
struct Indirection {
  uint32_t number = 0;     // of the index in the list
  uint32_t per_block = 0;  // 0: the address is as it stands
  uint32_t entry_bytes = 0;
  uint32_t block_bytes = 0;
};

// One instruction.  Fields that an opcode does not use are zero.
struct Instruction {
  Opcode opcode = Opcode::kScalar;
  Pipe pipe = Pipe::kScalar;
  Pipe peer = Pipe::kScalar;  // set: who waits; wait: who sets
  uint8_t flag = 0;           // 0..15
  uint8_t sibling = 0;        // set, wait: the core of the group it reaches
  bool cross_core = false;
  Type type = Type::kF16;      // of the source elements
  Type out_type = Type::kF16;  // kVector: of the result
  Space src_space = Space::kGm;
  Space dst_space = Space::kGm;
  VectorFunction function = VectorFunction::kNone;
  FixpipeMode fixpipe = FixpipeMode::kNone;
  bool accumulate = false;   // kMmad, kVector: else the first of a sum
  bool transpose = false;    // loads: L1 holds [rows / c][k][c], c: 32 bytes
  bool nd_to_nz = false;     // kCopyIn
  bool rearranging = false;  // loads: 3D
  bool relu = false;
  bool conflicts = false;  // kVector: operands in one bank group
  uint64_t dst = 0;        // byte offset in its space
  uint64_t src = 0;
  uint64_t src2 = 0;       // second operand, or scales
  uint32_t m = 0;          // elements: rows
  uint32_t n = 0;          // elements: columns
  uint32_t k = 0;          // elements of the reduction
  uint32_t row_bytes = 0;  // GM side
  uint32_t pitch = 0;  // copies, drains: bytes between rows at the target, or
                       // columns of fractals; 0: as the rows need
  uint64_t row_stride = 0;       // GM side, bytes; loads: of L1's blocks
  uint32_t inputs = 0;           // kVector: further operands in UB
  uint32_t scales = 0;           // kVector: scales of rows in UB
  uint32_t stored_bytes = 0;     // kUnzip: compressed bytes
  float elements_per_cycle = 0;  // kVector: its rate
  float cycles = 0;              // kScalar: its time; kVector: extra passes
  Indirection indirection;       // kCopyIn, kCopyOut
};

// How far an index moves a copy in GM.
inline uint64_t moved_by(const Indirection& way, uint64_t index) {
  return way.per_block == 0 ? 0
                            : index / way.per_block * way.block_bytes +
                                  index % way.per_block * way.entry_bytes;
}

// Why an instruction is what it is, one line: "mmad l0c[0] += ...".
std::string disassemble(const Instruction& instruction);

// What a launch puts on the chip.  Sections are made when the machine asks for
// them, so that a large launch never lies in memory as a whole.
struct Stream {
  // Appends section `section` of core `core`; called in order for each core.
  using Emit = std::function<void(int64_t core, int64_t section,
                                  std::vector<Instruction>& out)>;
  struct Core {
    bool has_cube = false;
    bool has_vector = false;
    int64_t group = 0;    // cores that share flags: a cube and its vectors
    int64_t sibling = 0;  // which of the group
    int64_t num_sections = 0;
  };

  std::string label;
  std::vector<Core> cores;
  Emit emit;

  // The instructions of all cores, at most `max_lines` lines of each.
  std::string listing(int64_t max_lines = 200) const;

  // A stream of lists, one for each unified core.
  static Stream of(std::vector<std::vector<Instruction>> cores);
};

}  // namespace tessera::npu
