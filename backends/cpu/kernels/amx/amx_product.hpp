// SPDX-License-Identifier: Apache-2.0
//
// Matrix products by tiles of AMX, as linears and attention use them: blocks of
// 32 rows by 32 columns, whose four loads of 1 KiB feed four products of 16
// cycles.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/amx/amx_tiles.hpp"
#include "backends/cpu/kernels/register_blocks.hpp"

namespace tessera::cpu {

// C = A B or C += A B.  A row of A is `depth` bytes; B lies in lines of 64
// bytes, each with the next four bytes (four s8, or two bf16) of 16 columns.
struct AmxOperands {
  int64_t rows;
  int64_t tiles;  // of 16 columns
  int64_t depth;  // a multiple of 4
  const void* a;
  int64_t a_stride;  // all strides are in bytes
  const void* b;
  int64_t b_line_stride;
  int64_t b_tile_stride;
  void* c;  // [rows, 16 tiles] of f32 or i32
  int64_t c_stride;
  bool adds;  // to what C holds
};

// What may be done between the steps of a product.
struct AmxNothing {
  void operator()() const {}
};

template <typename Tiles, AmxKind kKind>
class AmxProduct {
 public:
  // So deep that two tiles of B (16 KiB) stay in L1 while the rows of A pass
  // by, and that C is met again only every 512 cycles.
  static constexpr int64_t kDepth = 512;

  // Calls `between` after each step of a block, so that other work overlaps
  // with the products: they take 64 cycles a step and the processor waits only
  // for what it stores.
  template <typename Between = AmxNothing>
  static void run(AmxScope<Tiles>& scope, const AmxOperands& op,
                  const Between& between = {}) {
    Part<Between> part{op, between, 0, 0, 0, !op.adds};
    for (int64_t at = 0; at < op.depth; at += part.steps * part.step) {
      const int64_t left = op.depth - at;
      part.step = left < kAmxRowBytes ? left : kAmxRowBytes;
      part.steps = (left < kDepth ? left : kDepth) / part.step;
      part.at = at;
      all_rows(scope, part);
      part.c_begins = false;
    }
  }

 private:
  static constexpr int64_t kBlock = int64_t{2} * kAmxRows;

  // Some of the depth, in steps of the same depth.
  template <typename Between>
  struct Part {
    const AmxOperands& op;
    const Between& between;
    int64_t at;
    int64_t step;
    int64_t steps;
    bool c_begins;
  };
  template <typename AnyPart>
  static void all_rows(AmxScope<Tiles>& scope, const AnyPart& part) {
    const auto depth = static_cast<int>(part.step);
    const int64_t whole = part.op.rows / kBlock * kBlock;
    if (whole > 0) {
      scope.configure({{kAmxRows, kAmxRows}, {depth, depth}});
      blocks(part, 0, whole);
    }
    const auto left = static_cast<int>(part.op.rows - whole);
    if (left > 0) {
      const int first = left < kAmxRows ? left : kAmxRows;
      const int second = left > kAmxRows ? left - kAmxRows : kAmxRows;
      scope.configure({{first, second}, {depth, depth}});
      blocks(part, whole, left);
    }
  }

  template <typename AnyPart>
  static void blocks(const AnyPart& part, int64_t first, int64_t rows) {
    for_register_blocks<2, 2>(
        (rows + kAmxRows - 1) / kAmxRows, part.op.tiles,
        [&]<int kRows, int kTiles>(int64_t row, int64_t tile) {
          block<kRows, kTiles>(part, first + row * kAmxRows, tile);
        });
  }

  template <int kRows, int kTiles, typename AnyPart>
  static void block(const AnyPart& part, int64_t row, int64_t tile) {
    const AmxOperands& op = part.op;
    const char* a =
        static_cast<const char*>(op.a) + row * op.a_stride + part.at;
    const char* b = static_cast<const char*>(op.b) + tile * op.b_tile_stride +
                    part.at / kAmxLineBytes * op.b_line_stride;
    char* c =
        static_cast<char*>(op.c) + row * op.c_stride + tile * kAmxRowBytes;
    begin<kRows, kTiles>(part, c);
    for (int64_t i = 0; i < part.steps; ++i) {
      step<kRows, kTiles>(op, a, b);
      a += part.step;
      b += part.step / kAmxLineBytes * op.b_line_stride;
      part.between();
    }
    for_sums<kRows, kTiles>([&]<int kRow, int kTile>() {
      Tiles::template store_sums<2 * kRow + kTile>(place<kRow, kTile>(op, c),
                                                   op.c_stride);
    });
  }

  template <int kRows, int kTiles, typename AnyPart>
  static void begin(const AnyPart& part, char* c) {
    for_sums<kRows, kTiles>([&]<int kRow, int kTile>() {
      if (part.c_begins) {
        Tiles::template clear<2 * kRow + kTile>();
      } else {
        Tiles::template load_sums<2 * kRow + kTile>(
            place<kRow, kTile>(part.op, c), part.op.c_stride);
      }
    });
  }

  template <int kRows, int kTiles>
  static void step(const AmxOperands& op, const char* a, const char* b) {
    Tiles::template load_columns<0>(b, op.b_line_stride);
    Tiles::template load_rows<0>(a, op.a_stride);
    Tiles::template add<kKind, 0, 0, 0>();
    if constexpr (kTiles > 1) {
      Tiles::template load_columns<1>(b + op.b_tile_stride, op.b_line_stride);
      Tiles::template add<kKind, 1, 0, 1>();
    }
    if constexpr (kRows > 1) {
      Tiles::template load_rows<1>(a + kAmxRows * op.a_stride, op.a_stride);
      Tiles::template add<kKind, 2, 1, 0>();
    }
    if constexpr (kRows > 1 && kTiles > 1) {
      Tiles::template add<kKind, 3, 1, 1>();
    }
  }

  template <int kRows, int kTiles, typename Body>
  static void for_sums(const Body& body) {
    body.template operator()<0, 0>();
    if constexpr (kTiles > 1) body.template operator()<0, 1>();
    if constexpr (kRows > 1) body.template operator()<1, 0>();
    if constexpr (kRows > 1 && kTiles > 1) body.template operator()<1, 1>();
  }
  template <int kRow, int kTile>
  static char* place(const AmxOperands& op, char* c) {
    return c + int64_t{kRow} * kAmxRows * op.c_stride +
           int64_t{kTile} * kAmxRowBytes;
  }
};

}  // namespace tessera::cpu
