// SPDX-License-Identifier: Apache-2.0
//
// The table of linear kernels.

#include <string>
#include <vector>

#include "backends/cpu/kernels/linear/linear_kernel.hpp"
#include "backends/cpu/kernels/linear/sparse/sparse_expand.hpp"

namespace tessera::cpu {
namespace {

// Steps of at most so many rows are bound by memory: their kernels multiply
// straight from the stored codes.
constexpr int64_t kFewRows = 4;
constexpr int64_t kFewBf16Rows = 8;
// A product of tiles takes 16 cycles, whether it has eight rows or sixteen.
constexpr int64_t kTileRows = 8;
// Nibbles take four dot products a line for each row of x, so tiles win sooner.
constexpr int64_t kTileRowsOfNibbles = 4;

bool matches(const LinearKernel& kernel, const LinearQuestion& question) {
  const WeightShape& shape = *question.shape;
  switch (kernel.weight) {
    case WeightKind::kF32Rows:
      return question.has_dense_rows && shape.format == TSR_WEIGHT_F32;
    case WeightKind::kF16Rows:
      return question.has_dense_rows && shape.format == TSR_WEIGHT_F16;
    case WeightKind::kI8Tiles:
      return shape.layout == Layout::kI8Tiles;
    case WeightKind::kU4Tiles:
      return shape.layout == Layout::kU4Tiles;
    case WeightKind::kSparseTiles:
      return shape.layout == Layout::kSparseTiles && shape.num_groups == 1;
    case WeightKind::kFormatRows:
      return shape.layout != Layout::kRaw &&
             shape.layout != Layout::kSparseTiles &&
             shape.tile_format == kernel.tile_format;
    case WeightKind::kRaw:
      return shape.layout == Layout::kRaw;
    case WeightKind::kAny:
      return shape.layout != Layout::kSparseTiles;
  }
  return false;
}

std::string name_of(const char* input, const char* weight, Isa isa,
                    const char* rows) {
  return std::string("linear_") + input + "_" + weight + "__" + isa_name(isa) +
         rows;
}

// 16-bit inputs, first for few rows, then for any.
void add_bf16_kernels(std::vector<LinearKernel>& table) {
  const Bf16KernelSet& set = bf16_kernels_avx512bf16();
  for (int i = 0; i < kNumTileFormats; ++i) {
    const char* weight = kTileFormats[i].name;
    LinearKernel kernel{name_of("bf16", weight, Isa::kAvx512Bf16, "_8x16"),
                        Isa::kAvx512Bf16,
                        WeightKind::kFormatRows,
                        i,
                        Input::kBf16,
                        kFewBf16Rows,
                        false,
                        set.few_rows.of[i],
                        nullptr};
    table.push_back(kernel);
    kernel.name = name_of("bf16", weight, Isa::kAvx512Bf16, "_6x64");
    kernel.max_M = 0;
    kernel.run_float = set.panels.of[i];
    table.push_back(kernel);
  }
}

void add_float_kernels(std::vector<LinearKernel>& table,
                       const FloatKernelSet& set, Isa isa) {
  const auto add = [&](const char* weight, const char* rows, WeightKind kind,
                       int tile_format, int64_t most_rows,
                       void (*run)(const FloatWork&)) {
    table.push_back({name_of("f32", weight, isa, rows), isa, kind, tile_format,
                     Input::kF32, most_rows, false, run, nullptr});
  };
  add("f32", "_few", WeightKind::kF32Rows, 0, kFewRows, set.f32_rows);
  add("f16", "_few", WeightKind::kF16Rows, 0, kFewRows, set.f16_rows);
  for (int i = 0; i < kNumTileFormats; ++i) {
    const char* weight = kTileFormats[i].name;
    add(weight, "_few", WeightKind::kFormatRows, i, kFewRows,
        set.few_rows.of[i]);
    add(weight, "", WeightKind::kFormatRows, i, 0, set.panels.of[i]);
  }
  add("raw", "", WeightKind::kRaw, 0, 0, set.raw);
}

LinearKernel integer_kernel(const char* weight, Isa isa, WeightKind kind,
                            void (*run)(const IntegerWork&)) {
  return {name_of("i8", weight, isa, ""), isa,     kind, 0, Input::kCodes, 0,
          kind != WeightKind::kAny,       nullptr, run};
}

void add_integer_kernels(std::vector<LinearKernel>& table) {
  table.push_back({name_of("i8", "sparse", Isa::kAvx512Bf16, "_8x16"),
                   Isa::kAvx512Bf16, WeightKind::kSparseTiles, 0, Input::kCodes,
                   kFewSparseRows, false, nullptr, integer_sparse_avx512bf16});
  const auto add = [&](const char* weight, Isa isa, WeightKind kind,
                       void (*run)(const IntegerWork&)) {
    table.push_back(integer_kernel(weight, isa, kind, run));
  };
  add("i8", Isa::kAvx512Vnni, WeightKind::kI8Tiles,
      integer_i8_tiles_avx512vnni);
  add("u4", Isa::kAvx512Vnni, WeightKind::kU4Tiles,
      integer_u4_tiles_avx512vnni);
  table.back().run_groups = integer_groups_u4_avx512vnni;
  add("i8", Isa::kAvx2, WeightKind::kI8Tiles, integer_i8_tiles_avx2);
  add("u4", Isa::kAvx2, WeightKind::kU4Tiles, integer_u4_tiles_avx2);
  add("any", Isa::kScalar, WeightKind::kAny, integer_any_scalar);
}

std::vector<LinearKernel> make_table() {
  std::vector<LinearKernel> table = amx_linear_kernels(amx_kernels());
  add_bf16_kernels(table);
  add_float_kernels(table, float_kernels_avx512(), Isa::kAvx512);
  add_float_kernels(table, float_kernels_avx2(), Isa::kAvx2);
  add_float_kernels(table, float_kernels_scalar(), Isa::kScalar);
  add_integer_kernels(table);
  return table;
}

}  // namespace

std::vector<LinearKernel> amx_linear_kernels(const AmxKernelSet& set) {
  std::vector<LinearKernel> rows;
  for (int i = 0; i < kNumTileFormats; ++i) {
    const TileFormat& format = kTileFormats[i];
    rows.push_back({name_of("bf16", format.name, Isa::kAmx, "_32x32"),
                    Isa::kAmx, WeightKind::kFormatRows, i, Input::kBf16, 0,
                    false, set.bf16_panels.of[i], nullptr});
    rows.back().min_M =
        code_bits(format.codes) == 4 ? kTileRowsOfNibbles : kFewBf16Rows + 1;
  }
  rows.push_back(
      integer_kernel("i8", Isa::kAmx, WeightKind::kI8Tiles, set.integer_i8));
  rows.push_back(
      integer_kernel("u4", Isa::kAmx, WeightKind::kU4Tiles, set.integer_i8));
  rows.back().expand = expand_u4;
  for (LinearKernel& row : rows) {
    if (row.run_integer == nullptr) continue;
    row.run_groups = set.integer_groups_i8;
    row.min_M = kTileRows;
  }
  return rows;
}

std::span<const LinearKernel> linear_kernels() {
  static const std::vector<LinearKernel> table = make_table();
  return table;
}

bool fits(const LinearKernel& kernel, const LinearQuestion& question) {
  const WeightShape& shape = *question.shape;
  const bool is_mode = question.is_integer ? kernel.run_integer != nullptr
                                           : kernel.run_float != nullptr;
  if (!is_mode || question.M < kernel.min_M ||
      (kernel.max_M != 0 && question.M > kernel.max_M)) {
    return false;
  }
  if (kernel.needs_no_zeros && shape.has_zeros) return false;
  if (kernel.expand != nullptr && shape.group_size < kMinExpandedGroup) {
    return false;
  }
  if (kernel.input == Input::kBf16) {
    // The sums of x of each group take a place for every eight columns.
    if (!question.is_bf16 || (shape.num_groups > 1 && shape.group_size < 8)) {
      return false;
    }
  }
  return matches(kernel, question);
}

const LinearKernel* find_linear_kernel(std::span<const LinearKernel> table,
                                       const LinearQuestion& question,
                                       Isa best) {
  for (const LinearKernel& kernel : table) {
    if (kernel.isa <= best && fits(kernel, question)) return &kernel;
  }
  return nullptr;
}

const LinearRowOps& linear_row_ops(Isa best) {
  if (best >= Isa::kAvx512) return linear_row_ops_avx512();
  if (best >= Isa::kAvx2) return linear_row_ops_avx2();
  return linear_row_ops_scalar();
}

}  // namespace tessera::cpu
