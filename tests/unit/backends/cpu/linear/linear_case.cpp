// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/cpu/linear/linear_case.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "framework/format/gguf/gguf_block.hpp"
#include "framework/tensor/half.hpp"
#include "tests/unit/backends/cpu/linear/emulated_kernels.hpp"

namespace tessera::cpu {
namespace {

constexpr int64_t kGap = 5;  // elements between rows
constexpr std::byte kGapByte{0x5a};

std::unique_ptr<reference::Weight> open_oracle(
    const format::WeightData& planes) {
  auto weight = reference::Weight::open(planes);
  if (!weight.ok()) throw std::runtime_error(weight.status().message());
  return std::make_unique<reference::Weight>(std::move(*weight));
}

// Packs in two slices, the later one first, into bytes that are not zero.
void pack(const format::WeightData& planes, const WeightShape& shape,
          std::byte* packed) {
  std::memset(packed, 0xff, shape.packed_bytes);
  int64_t middle = shape.N / 2 / kTileCols * kTileCols;
  if (planes.format == TSR_WEIGHT_SPARSE_FIXED) middle = 0;
  const auto pack_slice = [&](int64_t begin, int64_t end) {
    if (begin == end) return;
    const auto slice =
        planes.slice(static_cast<uint32_t>(begin), static_cast<uint32_t>(end));
    if (!slice.ok()) throw std::runtime_error(slice.status().message());
    pack_rows(shape, slice->desc(), begin, end, packed);
  };
  pack_slice(middle, shape.N);
  pack_slice(0, middle);
}

}  // namespace

TestWeight::TestWeight(format::WeightData planes)
    : planes_(std::move(planes)), oracle_(open_oracle(planes_)) {
  const format::WeightView view = planes_.view();
  const WeightShape shape = weight_shape(view.desc());
  packed_ = std::make_unique<AlignedBytes>(shape.packed_bytes);
  if (shape.layout != Layout::kRaw) pack(planes_, shape, packed_->data());
  linear_ = open_weight(view.desc(), packed_->data());
}

std::vector<WeightKindCase> weight_kinds() {
  const auto make = [](uint32_t format, uint32_t group, bool symmetric) {
    format::WeightScheme scheme;
    scheme.format = format;
    scheme.group_size = group;
    scheme.symmetric = symmetric;
    return scheme;
  };
  std::vector<WeightKindCase> kinds = {
      {"f32", make(TSR_WEIGHT_F32, 0, true)},
      {"f16", make(TSR_WEIGHT_F16, 0, true)},
      {"bf16", make(TSR_WEIGHT_BF16, 0, true)},
      {"i8_channel", make(TSR_WEIGHT_I8, 0, true)},
      {"i8_g32", make(TSR_WEIGHT_I8, 32, true)},
      {"i8_g12", make(TSR_WEIGHT_I8, 12, true)},
      {"i8_g7", make(TSR_WEIGHT_I8, 7, true)},
      {"i8_g64_asym", make(TSR_WEIGHT_I8, 64, false)},
      {"u8_channel", make(TSR_WEIGHT_U8, 0, true)},
      {"u8_channel_asym", make(TSR_WEIGHT_U8, 0, false)},
      {"i4_g32", make(TSR_WEIGHT_I4, 32, true)},
      {"u4_channel", make(TSR_WEIGHT_U4, 0, true)},
      {"u4_g32", make(TSR_WEIGHT_U4, 32, true)},
      {"u4_g64_asym", make(TSR_WEIGHT_U4, 64, false)},
      {"u4_g128", make(TSR_WEIGHT_U4, 128, true)},
      {"u4_g12", make(TSR_WEIGHT_U4, 12, true)},
      {"f8e4m3", make(TSR_WEIGHT_F8E4M3, 0, true)},
      {"f8e5m2", make(TSR_WEIGHT_F8E5M2, 0, true)},
      {"f4e2m1_g32", make(TSR_WEIGHT_F4E2M1, 32, true)},
      {"mxfp4", make(TSR_WEIGHT_MXFP4, 0, true)},
      {"nvfp4", make(TSR_WEIGHT_NVFP4, 0, true)},
      {"q4_0", make(TSR_WEIGHT_Q4_0, 0, true), 32},
      {"q4_1", make(TSR_WEIGHT_Q4_1, 0, true), 32},
      {"q5_0", make(TSR_WEIGHT_Q5_0, 0, true), 32},
      {"q5_1", make(TSR_WEIGHT_Q5_1, 0, true), 32},
      {"q8_0", make(TSR_WEIGHT_Q8_0, 0, true), 32},
      {"iq4_nl", make(TSR_WEIGHT_IQ4_NL, 0, true), 32},
      {"q2_k", make(TSR_WEIGHT_Q2_K, 0, true), 256},
      {"q3_k", make(TSR_WEIGHT_Q3_K, 0, true), 256},
      {"q4_k", make(TSR_WEIGHT_Q4_K, 0, true), 256},
      {"q5_k", make(TSR_WEIGHT_Q5_K, 0, true), 256},
      {"q6_k", make(TSR_WEIGHT_Q6_K, 0, true), 256},
  };
  format::WeightScheme per_tensor = make(TSR_WEIGHT_I8, 0, true);
  per_tensor.per_tensor = true;
  kinds.push_back({"i8_tensor", per_tensor});
  format::WeightScheme two_level = make(TSR_WEIGHT_I4, 32, true);
  two_level.two_level = true;
  kinds.push_back({"i4_g32_two_level", two_level});
  return kinds;
}

format::WeightData random_blocks(uint32_t format, int64_t N, int64_t K,
                                 std::mt19937& rng) {
  const format::GgufBlock& block = *format::find_gguf_block(format);
  const auto row_bytes = static_cast<uint32_t>(K / block.values * block.bytes);
  format::Plane codes;
  codes.role = TSR_PLANE_CODES;
  codes.dtype = TSR_U8;
  codes.rows = static_cast<uint32_t>(N);
  codes.cols = row_bytes;
  codes.block_n = 1;
  codes.owned.resize(static_cast<size_t>(N) * row_bytes);
  for (std::byte& byte : codes.owned)
    byte = static_cast<std::byte>(rng() % 256);
  // Offsets of d and of dmin or m; -1 where there is none.
  const std::pair<int, int> halves =
      format == TSR_WEIGHT_Q2_K   ? std::pair(80, 82)
      : format == TSR_WEIGHT_Q3_K ? std::pair(108, -1)
      : format == TSR_WEIGHT_Q6_K ? std::pair(208, -1)
      : format == TSR_WEIGHT_Q4_K || format == TSR_WEIGHT_Q5_K ||
              format == TSR_WEIGHT_Q4_1 || format == TSR_WEIGHT_Q5_1
          ? std::pair(0, 2)
          : std::pair(0, -1);
  std::uniform_real_distribution<float> scale(-0.01f, 0.01f);
  for (size_t at = 0; at < codes.owned.size(); at += block.bytes) {
    for (const int offset : {halves.first, halves.second}) {
      if (offset < 0) continue;
      const uint16_t half = f32_to_f16(scale(rng));
      std::memcpy(&codes.owned[at + static_cast<size_t>(offset)], &half, 2);
    }
  }
  format::WeightData weight{format, codes.rows, static_cast<uint32_t>(K), {}};
  weight.planes.push_back(std::move(codes));
  return weight;
}

TestWeight random_weight(const WeightKindCase& kind, int64_t N, int64_t K,
                         std::mt19937& rng) {
  const format::GgufBlock* block = format::find_gguf_block(kind.scheme.format);
  if (block != nullptr && !block->has_encoder) {
    return TestWeight(random_blocks(block->format, N, K, rng));
  }
  std::normal_distribution<float> normal(0.0f, 0.1f);
  std::vector<float> values(static_cast<size_t>(N * K));
  for (float& v : values) v = normal(rng);
  auto planes = format::encode_weight(kind.scheme, static_cast<uint32_t>(N),
                                      static_cast<uint32_t>(K), values);
  if (!planes.ok()) throw std::runtime_error(planes.status().message());
  return TestWeight(std::move(*planes));
}

void add_static_activation(format::WeightData& planes, int32_t zero_point) {
  const float scale = 4.0f / 127.0f;
  const float inv = 127.0f / 4.0f;
  const auto add = [&](uint32_t role, uint32_t dtype, const void* value) {
    format::Plane plane;
    plane.role = role;
    plane.dtype = dtype;
    plane.rows = 1;
    plane.cols = 1;
    plane.owned.resize(4);
    std::memcpy(plane.owned.data(), value, 4);
    planes.planes.push_back(std::move(plane));
  };
  add(TSR_PLANE_ACT_SCALE, TSR_F32, &scale);
  add(TSR_PLANE_ACT_INV, TSR_F32, &inv);
  add(TSR_PLANE_ACT_ZERO_POINT, TSR_I32, &zero_point);
}

TestTensor::TestTensor(uint32_t dtype, int64_t rows, int64_t cols)
    : dtype_(dtype),
      rows_(rows),
      cols_(cols),
      stride_(cols + kGap),
      bytes_(static_cast<size_t>(rows * (cols + kGap) *
                                 (dtype == TSR_F32 ? 4 : 2)),
             kGapByte) {}

TestTensor::TestTensor(uint32_t dtype, int64_t rows, int64_t cols,
                       std::mt19937& rng)
    : TestTensor(dtype, rows, cols) {
  std::normal_distribution<float> normal;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) set(r, c, normal(rng));
  }
}

std::vector<float> TestTensor::values() const {
  std::vector<float> dense;
  for (int64_t r = 0; r < rows_; ++r) {
    for (int64_t c = 0; c < cols_; ++c) dense.push_back(at(r, c));
  }
  return dense;
}

float TestTensor::at(int64_t row, int64_t col) const {
  const std::byte* place =
      bytes_.data() + (row * stride_ + col) * element_bytes();
  if (dtype_ == TSR_F32) {
    float value = 0;
    std::memcpy(&value, place, sizeof(value));
    return value;
  }
  uint16_t half = 0;
  std::memcpy(&half, place, sizeof(half));
  return dtype_ == TSR_F16 ? f16_to_f32(half) : bf16_to_f32(half);
}

void TestTensor::set(int64_t row, int64_t col, float value) {
  std::byte* place = bytes_.data() + (row * stride_ + col) * element_bytes();
  if (dtype_ == TSR_F32) {
    std::memcpy(place, &value, sizeof(value));
    return;
  }
  const uint16_t half =
      dtype_ == TSR_F16 ? f32_to_f16(value) : f32_to_bf16(value);
  std::memcpy(place, &half, sizeof(half));
}

bool TestTensor::gaps_untouched() const {
  for (int64_t r = 0; r < rows_; ++r) {
    const auto begin = bytes_.begin() + (r * stride_ + cols_) * element_bytes();
    if (!std::all_of(begin, begin + kGap * element_bytes(),
                     [](std::byte b) { return b == kGapByte; })) {
      return false;
    }
  }
  return true;
}

float rounded_to(uint32_t dtype, float value) {
  if (dtype == TSR_F16) return f16_to_f32(f32_to_f16(value));
  if (dtype == TSR_BF16) return bf16_to_f32(f32_to_bf16(value));
  return value;
}

std::vector<Shape> edge_shapes(int64_t depth_multiple) {
  constexpr int64_t kM[] = {1, 2, 3, 4, 5, 17, 64};
  constexpr int64_t kN[] = {1, 15, 16, 17, 48, 100};
  constexpr int64_t kK[] = {1, 3, 31, 32, 33, 64, 96, 128, 129, 172, 384};
  std::vector<Shape> shapes;
  for (size_t i = 0; i < 44; ++i) {
    const int64_t K = kK[i % 11];
    shapes.push_back(
        {kM[i % 7], kN[i % 6],
         (K + depth_multiple - 1) / depth_multiple * depth_multiple});
  }
  return shapes;
}

std::vector<Isa> runnable_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512,
                        Isa::kAvx512Vnni, Isa::kAvx512Bf16}) {
    if (isa <= best_isa()) isas.push_back(isa);
  }
  // Tiles run in plain C++ where the processor has none.
  if (best_isa() >= Isa::kAvx512Bf16) isas.push_back(Isa::kAmx);
  return isas;
}

std::set<Isa> best_isas() { return {best_isa(), runnable_isas().back()}; }

void run_linear(const LinearWeight& weight, const Linear& op, Isa isa,
                const Parallel& parallel) {
  const size_t bytes =
      linear_workspace_bytes({op.M, weight.shape.K, parallel.num_threads});
  AlignedBytes memory(bytes);
  const LinearWorkspace workspace{memory.data(), bytes};
  const Exec exec{&parallel, isa};
  if (isa > best_isa()) {
    static const std::vector<LinearKernel> emulated = emulated_table();
    linear_of_table(emulated, weight, op, workspace, exec);
  } else {
    linear(weight, op, workspace, exec);
  }
}

std::vector<LinearKernel> emulated_table() {
  std::vector<LinearKernel> table = amx_linear_kernels(emulated_kernels());
  for (const LinearKernel& kernel : linear_kernels()) {
    if (kernel.isa < Isa::kAmx) table.push_back(kernel);
  }
  return table;
}

double gamma(int64_t n) {
  const double nu = static_cast<double>(n) * 0x1p-24;
  return nu / (1.0 - nu);
}

}  // namespace tessera::cpu
