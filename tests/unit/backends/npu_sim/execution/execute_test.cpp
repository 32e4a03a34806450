// SPDX-License-Identifier: Apache-2.0
//
// Compiled streams carried out on data give what the definitions say, bit for
// bit.

#include "backends/npu_sim/execution/execute.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>

#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/function/half.hpp"
#include "backends/npu_sim/simulation/simulate.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

struct Shape {
  int64_t M;
  int64_t N;
  int64_t K;
};

// Loop edges of fractals, tiles and packets, and splits of K.
constexpr Shape kShapes[] = {{1, 1, 1},      {1, 17, 33},   {16, 16, 32},
                             {5, 300, 70},   {33, 65, 129}, {130, 270, 100},
                             {17, 48, 1100}, {2, 64, 2500}};

uint64_t number_of(Tensor tensor) { return static_cast<uint64_t>(tensor); }

template <typename Value>
std::vector<uint8_t> bytes_of_values(const std::vector<Value>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(Value));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

template <typename Value>
std::vector<Value> values_of(const std::vector<uint8_t>& bytes) {
  std::vector<Value> values(bytes.size() / sizeof(Value));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// Of a product whose results have 16 bits.
template <typename Value>
Memory product_memory(const Shape& shape, const std::vector<Value>& a,
                      const std::vector<Value>& w) {
  Memory memory;
  memory.tensors[number_of(Tensor::kInput)] = bytes_of_values(a);
  memory.tensors[number_of(Tensor::kWeight)] = bytes_of_values(w);
  memory.tensors[number_of(Tensor::kOutput)].resize(
      static_cast<size_t>(shape.M * shape.N * 2));
  return memory;
}

std::vector<int8_t> random_codes(int64_t count, std::mt19937& rng) {
  std::uniform_int_distribution<int> codes(-128, 127);
  std::vector<int8_t> values(static_cast<size_t>(count));
  for (int8_t& value : values) value = static_cast<int8_t>(codes(rng));
  return values;
}

std::vector<uint16_t> random_halves(int64_t count, std::mt19937& rng) {
  std::normal_distribution<float> normal;
  std::vector<uint16_t> values(static_cast<size_t>(count));
  for (uint16_t& value : values) value = f16_from_f32(normal(rng));
  return values;
}

Gemm gemm_of(const Shape& shape, Scheme scheme) {
  Gemm gemm;
  gemm.M = shape.M;
  gemm.N = shape.N;
  gemm.K = shape.K;
  gemm.scheme = scheme;
  return gemm;
}

int32_t dot(const std::vector<int8_t>& a, const std::vector<int8_t>& w,
            const Shape& shape, int64_t m, int64_t n) {
  int32_t sum = 0;
  for (int64_t k = 0; k < shape.K; ++k) {
    sum += int32_t{a[static_cast<size_t>(m * shape.K + k)]} *
           w[static_cast<size_t>(n * shape.K + k)];
  }
  return sum;
}

class Execute : public testing::TestWithParam<const char*> {
 protected:
  Profile profile_ = load_profile(GetParam());
  std::mt19937 rng_{42};
  SimulateOptions options_ = [] {
    SimulateOptions options;
    options.tiling.split_k = 1;
    return options;
  }();
};

TEST_P(Execute, F16ProductsSumInAscendingK) {
  for (const Shape& shape : kShapes) {
    const Gemm gemm = gemm_of(shape, Scheme::kW16A16);
    const auto a = random_halves(shape.M * shape.K, rng_);
    const auto w = random_halves(shape.N * shape.K, rng_);
    Memory memory = product_memory(shape, a, w);
    const auto& out = memory.tensors[number_of(Tensor::kOutput)];
    execute(profile_, compile(profile_, gemm, options_), memory);
    const auto got = values_of<uint16_t>(out);
    for (int64_t m = 0; m < shape.M; ++m) {
      for (int64_t n = 0; n < shape.N; ++n) {
        float sum = 0;
        for (int64_t k = 0; k < shape.K; ++k) {
          sum += f32_from_f16(a[static_cast<size_t>(m * shape.K + k)]) *
                 f32_from_f16(w[static_cast<size_t>(n * shape.K + k)]);
        }
        ASSERT_EQ(got[static_cast<size_t>(m * shape.N + n)], f16_from_f32(sum))
            << shape.M << 'x' << shape.N << 'x' << shape.K << " at " << m << ' '
            << n;
      }
    }
  }
}

TEST_P(Execute, Int8ProductsToBf16AreSumsRoundedOnce) {
  for (const Shape& shape : kShapes) {
    Gemm gemm = gemm_of(shape, Scheme::kInt8);
    gemm.out = Type::kBf16;
    const auto a = random_codes(shape.M * shape.K, rng_);
    const auto w = random_codes(shape.N * shape.K, rng_);
    Memory memory = product_memory(shape, a, w);
    const auto N = static_cast<size_t>(shape.N);
    memory.fixpipe_words.assign(N, make_fixpipe_word({}));
    memory.scales.assign(N, 1.0f);
    if (!profile_.cube.bf16) {
      EXPECT_THROW(compile(profile_, gemm, options_), sdk::Error);
      continue;
    }
    execute(profile_, compile(profile_, gemm, options_), memory);
    const auto got =
        values_of<uint16_t>(memory.tensors[number_of(Tensor::kOutput)]);
    for (int64_t m = 0; m < shape.M; ++m) {
      for (int64_t n = 0; n < shape.N; ++n) {
        const auto sum = static_cast<float>(dot(a, w, shape, m, n));
        ASSERT_EQ(got[static_cast<size_t>(m * shape.N + n)],
                  bf16_from_f32(sum));
      }
    }
  }
}

TEST_P(Execute, Int8ProductsAreExactAndScaledAsTheChipDoes) {
  for (const Shape& shape : kShapes) {
    const Gemm gemm = gemm_of(shape, Scheme::kInt8);
    const auto a = random_codes(shape.M * shape.K, rng_);
    const auto w = random_codes(shape.N * shape.K, rng_);
    Memory memory = product_memory(shape, a, w);
    const auto& out = memory.tensors[number_of(Tensor::kOutput)];
    for (int64_t n = 0; n < shape.N; ++n) {
      FixpipeScale scale;
      scale.positive = 1e-3f * static_cast<float>(n + 1) / 3;
      scale.negative = scale.positive;
      memory.fixpipe_words.push_back(make_fixpipe_word(scale));
      memory.scales.push_back(scale.positive);
    }
    execute(profile_, compile(profile_, gemm, options_), memory);
    const auto got = values_of<uint16_t>(out);
    for (int64_t m = 0; m < shape.M; ++m) {
      for (int64_t n = 0; n < shape.N; ++n) {
        const auto channel = static_cast<size_t>(n);
        const int32_t sum = dot(a, w, shape, m, n);
        const uint16_t want =
            profile_.exit.fixpipe
                ? deqf16(sum, read_fixpipe_word(memory.fixpipe_words[channel],
                                                Numerics::kHw))
                : f16_from_f32(static_cast<float>(sum) *
                               memory.scales[channel]);
        ASSERT_EQ(got[static_cast<size_t>(m * shape.N + n)], want)
            << shape.M << 'x' << shape.N << 'x' << shape.K << " at " << m << ' '
            << n;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Chips, Execute,
                         testing::Values("910b1", "310p", "310b1"));

// A weight as SPARSE_FIXED: nibble 0 stands for zero, 15 for an escape.
void add_sparse_weight(const std::vector<int8_t>& w, const Shape& shape,
                       Memory& memory) {
  memory.sparse_rows = shape.N;
  memory.sparse_columns = shape.K;
  memory.sparse_index = {0};
  for (int64_t row = 0; row < shape.N; row += 256) {
    for (int64_t column = 0; column < shape.K; column += 128) {
      const int64_t rows = std::min<int64_t>(256, shape.N - row);
      const int64_t columns = std::min<int64_t>(128, shape.K - column);
      std::vector<uint8_t> tile(
          static_cast<size_t>(16 + rows * ((columns + 1) / 2)));
      std::vector<uint8_t> escapes;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < columns; ++c) {
          const int8_t code =
              w[static_cast<size_t>((row + r) * shape.K + column + c)];
          if (code == 0) continue;
          escapes.push_back(static_cast<uint8_t>(code));
          uint8_t& pair =
              tile[static_cast<size_t>(16 + r * ((columns + 1) / 2) + c / 2)];
          pair = static_cast<uint8_t>(pair | (c % 2 == 0 ? 0x0F : 0xF0));
        }
      }
      tile.insert(tile.end(), escapes.begin(), escapes.end());
      tile.resize((tile.size() + 15) / 16 * 16);
      memory.sparse_codes.insert(memory.sparse_codes.end(), tile.begin(),
                                 tile.end());
      memory.sparse_index.push_back(
          static_cast<int64_t>(memory.sparse_codes.size()));
    }
  }
}

TEST(ExecuteSparse, TilesAreUnzippedAndInputsQuantizedOnTheWay) {
  const Profile profile = load_profile("310p");
  std::mt19937 rng(42);
  for (const Shape& shape : {Shape{3, 40, 50}, Shape{20, 520, 300}}) {
    Gemm gemm = gemm_of(shape, Scheme::kW8A8Sc);
    gemm.compression = 0.6;
    SimulateOptions options;
    options.tiling.split_k = 1;
    const auto x = random_halves(shape.M * shape.K, rng);
    auto w = random_codes(shape.N * shape.K, rng);
    for (size_t i = 0; i < w.size(); ++i) w[i] = i % 3 == 0 ? w[i] : int8_t{0};
    Memory memory;
    add_sparse_weight(w, shape, memory);
    memory.inverse_scale = 31.5f;
    memory.zero_point = 3;
    memory.tensors[number_of(Tensor::kInput)] = bytes_of_values(x);
    memory.tensors[number_of(Tensor::kCodes)].resize(
        static_cast<size_t>(shape.M * shape.K));
    auto& out = memory.tensors[number_of(Tensor::kOutput)];
    out.resize(static_cast<size_t>(shape.M * shape.N * 2));
    memory.scales.assign(static_cast<size_t>(shape.N), 0.0078125f);
    execute(profile, compile(profile, gemm, options), memory);

    std::vector<int8_t> a;
    for (const uint16_t half : x) {
      a.push_back(static_cast<int8_t>(std::clamp(
          std::nearbyint(f32_from_f16(half) * 31.5f) + 3, -128.0f, 127.0f)));
    }
    const auto got = values_of<uint16_t>(out);
    for (int64_t m = 0; m < shape.M; ++m) {
      for (int64_t n = 0; n < shape.N; ++n) {
        ASSERT_EQ(got[static_cast<size_t>(m * shape.N + n)],
                  f16_from_f32(static_cast<float>(dot(a, w, shape, m, n)) *
                               0.0078125f));
      }
    }
  }
}

// Of instructions without flags, the loads run before the copies.
TEST(ExecuteFlags, MissingFlagShowsInTheResult) {
  const Profile profile = load_profile("910b1");
  const Shape shape{16, 16, 64};
  std::mt19937 rng(42);
  Memory memory;
  const auto a = random_codes(shape.M * shape.K, rng);
  memory.tensors[number_of(Tensor::kInput)] = bytes_of_values(a);
  memory.tensors[number_of(Tensor::kWeight)] =
      bytes_of_values(random_codes(shape.N * shape.K, rng));
  auto& out = memory.tensors[number_of(Tensor::kOutput)];
  out.resize(static_cast<size_t>(shape.M * shape.N * 4));
  Gemm gemm = gemm_of(shape, Scheme::kInt8);
  gemm.out = Type::kS32;
  const Stream whole = compile(profile, gemm, {});
  execute(profile, whole, memory);
  const std::vector<uint8_t> right = out;
  Stream broken = whole;
  broken.emit = [&](int64_t core, int64_t section,
                    std::vector<Instruction>& list) {
    std::vector<Instruction> made;
    whole.emit(core, section, made);
    for (const Instruction& one : made) {
      const bool is_flag =
          one.opcode == Opcode::kSetFlag || one.opcode == Opcode::kWaitFlag;
      if (!is_flag) list.push_back(one);
    }
  };
  std::fill(out.begin(), out.end(), uint8_t{0});
  execute(profile, broken, memory);
  EXPECT_NE(out, right);
}

TEST(ExecuteFlags, AnInstructionWithoutAFunctionIsRefused) {
  const Profile profile = load_profile("910b1");
  Memory memory;
  for (const Tensor name : {Tensor::kInput, Tensor::kOther, Tensor::kOutput}) {
    memory.tensors[number_of(name)].resize(4096);
  }
  const Stream whole = compile(profile, VectorOp{4, 64}, {});
  Stream nameless = whole;
  nameless.emit = [&](int64_t core, int64_t section,
                      std::vector<Instruction>& list) {
    whole.emit(core, section, list);
    for (Instruction& one : list) one.function = VectorFunction::kNone;
  };
  try {
    execute(profile, nameless, memory);
    FAIL() << "no error";
  } catch (const sdk::Error& error) {
    EXPECT_EQ(error.code(), TSR_UNIMPLEMENTED);
    EXPECT_THAT(error.what(), testing::HasSubstr("is timed only"));
  }
}

}  // namespace
}  // namespace tessera::npu
