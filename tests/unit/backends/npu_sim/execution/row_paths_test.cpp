// SPDX-License-Identifier: Apache-2.0
//
// Small ops by the fast path of function/ and by instructions: the same bits on
// random shapes and types.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/execution/execute.hpp"
#include "backends/npu_sim/function/row_ops.hpp"
#include "backends/npu_sim/simulation/simulate.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr int kNumShapes = 12;
constexpr float kEps = 1e-5f;
constexpr uint32_t kPositions = 50;

struct Kind {
  const char* name;
  SmallKind kind;
  uint32_t activation = TSR_EPILOGUE_NONE;
};
constexpr Kind kKinds[] = {
    {"rms_norm", SmallKind::kRmsNorm},
    {"layer_norm", SmallKind::kLayerNorm},
    {"softmax", SmallKind::kSoftmax},
    {"rope", SmallKind::kRope},
    {"silu_mul", SmallKind::kSiluMul},
    {"gelu_erf", SmallKind::kGelu, TSR_EPILOGUE_GELU_ERF},
    {"gelu_tanh", SmallKind::kGelu, TSR_EPILOGUE_GELU_TANH},
    {"add", SmallKind::kAdd},
};

uint32_t dtype_of(Type type) {
  return type == Type::kF32 ? TSR_F32 : type == Type::kF16 ? TSR_F16 : TSR_BF16;
}

// One op in both forms.
class SmallCase {
 public:
  SmallCase(const Profile& profile, const Kind& kind, std::mt19937& rng)
      : profile_(profile), kind_(kind) {
    const auto type = [&] {
      constexpr Type kTypes[] = {Type::kF16, Type::kF32, Type::kBf16};
      return kTypes[rng() % (profile.cube.bf16 ? 3 : 2)];
    };
    op_.kind = kind.kind;
    op_.rows = 1 + static_cast<int64_t>(rng() % 90);
    op_.columns = 1 + static_cast<int64_t>(rng() % 900);
    op_.type = type();
    op_.out = type();
    std::normal_distribution<float> normal;
    for (int i = 0; i < 2; ++i) {
      std::vector<float> values(static_cast<size_t>(op_.rows * op_.columns));
      for (float& value : values) value = 3 * normal(rng);
      inputs_[i] = stored(values, op_.type);
    }
    for (int64_t i = 0; i < op_.columns; ++i) {
      weight_.push_back(normal(rng));
      bias_.push_back(normal(rng));
    }
    if (rng() % 2 == 0) bias_.clear();
    if (kind.kind == SmallKind::kRope) choose_heads(rng);
  }

  std::string text() const {
    return std::string(kind_.name) + " on " + profile_.name + " " +
           std::to_string(op_.rows) + "x" + std::to_string(op_.columns) + " " +
           name_of(op_.type) + " to " + name_of(op_.out) + " seed 42";
  }

  std::vector<uint8_t> instructions() const {
    Memory memory;
    const auto tensor = [&](Tensor name) -> std::vector<uint8_t>& {
      return memory.tensors[static_cast<uint64_t>(name)];
    };
    tensor(Tensor::kInput) = inputs_[0];
    tensor(Tensor::kOther) = inputs_[1];
    tensor(Tensor::kOutput).resize(output_bytes());
    memory.activation = kind_.activation;
    memory.rows = rows_;
    memory.rows.eps = kEps;
    memory.rows.scale = 0.25f;
    memory.rows.weight = weight_;
    memory.rows.bias = bias_;
    execute(profile_, compile(profile_, op_, {}), memory);
    return tensor(Tensor::kOutput);
  }

  std::vector<uint8_t> fast() const {
    std::vector<uint8_t> out(output_bytes());
    const ConstRows a{inputs_[0].data(), dtype_of(op_.type), op_.columns};
    const ConstRows b{inputs_[1].data(), dtype_of(op_.type), op_.columns};
    const Rows y{out.data(), dtype_of(op_.out), op_.columns};
    const ConstRows weight{weight_.data(), TSR_F32, op_.columns};
    const ConstRows bias{bias_.empty() ? nullptr : bias_.data(), TSR_F32,
                         op_.columns};
    switch (kind_.kind) {
      case SmallKind::kRmsNorm:
        run(RmsNorm{op_.rows, op_.columns, a, y, weight, kEps}, {});
        break;
      case SmallKind::kLayerNorm:
        run(LayerNorm{op_.rows, op_.columns, a, y, weight, bias, kEps}, {});
        break;
      case SmallKind::kRope:
        run(Rope{op_.rows, rows_.num_heads, rows_.head_dim, a, y,
                 rows_.positions.data(), rows_.table.data(), kPositions,
                 rows_.rotary_dim, rows_.style},
            {});
        break;
      case SmallKind::kSoftmax:
        run(Softmax{op_.rows, op_.columns, a, y, 0.25f}, {});
        break;
      default:
        run(Map{map_kind(), op_.rows, op_.columns, a, b, y}, {});
        break;
    }
    return out;
  }

 private:
  // A row is a token.
  void choose_heads(std::mt19937& rng) {
    const auto below = [&](uint32_t most) {
      return 1 + static_cast<int64_t>(rng() % most);
    };
    rows_.style = rng() % 2 == 0 ? TSR_ROPE_HALF : TSR_ROPE_INTERLEAVED;
    rows_.num_heads = below(4);
    rows_.rotary_dim = 2 * below(16);
    rows_.head_dim = op_.columns / rows_.num_heads;
    rows_.head_dim = std::max(rows_.head_dim, rows_.rotary_dim);
    std::normal_distribution<float> normal;
    rows_.table.resize(static_cast<size_t>(kPositions * rows_.rotary_dim));
    for (float& value : rows_.table) value = normal(rng);
    for (int64_t token = 0; token < op_.rows; ++token) {
      rows_.positions.push_back(static_cast<int32_t>(below(kPositions)) - 1);
    }
    op_.columns = rows_.num_heads * rows_.head_dim;
    std::vector<float> values(static_cast<size_t>(op_.rows * op_.columns));
    for (float& value : values) value = normal(rng);
    inputs_[0] = stored(values, op_.type);
  }
  MapKind map_kind() const {
    if (kind_.kind == SmallKind::kAdd) return MapKind::kAdd;
    if (kind_.kind == SmallKind::kSiluMul) return MapKind::kSiluMul;
    return kind_.activation == TSR_EPILOGUE_GELU_ERF ? MapKind::kGeluErf
                                                     : MapKind::kGeluTanh;
  }
  size_t output_bytes() const {
    return static_cast<size_t>(op_.rows * op_.columns * bits_of(op_.out) / 8);
  }
  static std::vector<uint8_t> stored(const std::vector<float>& values,
                                     Type type) {
    std::vector<uint8_t> bytes(values.size() *
                               static_cast<size_t>(bits_of(type) / 8));
    const auto count = static_cast<int64_t>(values.size());
    store_row({bytes.data(), dtype_of(type), count}, 0, 0, count,
              values.data());
    return bytes;
  }

  const Profile& profile_;
  Kind kind_;
  SmallOp op_;
  std::vector<uint8_t> inputs_[2];
  RowFacts rows_;
  std::vector<float> weight_;
  std::vector<float> bias_;
};

class RowPaths : public testing::TestWithParam<const char*> {};

TEST_P(RowPaths, AgreeBitForBit) {
  const Profile profile = load_profile(GetParam());
  std::mt19937 rng(42);
  for (const Kind& kind : kKinds) {
    for (int i = 0; i < kNumShapes; ++i) {
      const SmallCase both(profile, kind, rng);
      ASSERT_EQ(both.instructions(), both.fast()) << both.text();
    }
  }
}

TEST_P(RowPaths, RowsBeyondUbAreTimedAndNotCarriedOut) {
  const Profile profile = load_profile(GetParam());
  const SmallOp op{SmallKind::kSoftmax, 2, 200000};
  EXPECT_GT(simulate(profile, op).cycles, 0);
  Memory memory;
  memory.tensors[static_cast<uint64_t>(Tensor::kInput)].resize(800000);
  memory.tensors[static_cast<uint64_t>(Tensor::kOutput)].resize(800000);
  try {
    execute(profile, compile(profile, op, {}), memory);
    FAIL() << "no error";
  } catch (const sdk::Error& error) {
    EXPECT_EQ(error.code(), TSR_UNIMPLEMENTED);
    EXPECT_THAT(error.what(), testing::HasSubstr("is timed only"));
  }
}

INSTANTIATE_TEST_SUITE_P(Chips, RowPaths,
                         testing::Values("910b1", "310p", "310b1"));

}  // namespace
}  // namespace tessera::npu
