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
constexpr int64_t kTableRows = 37;

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
    {"embedding", SmallKind::kEmbedding},
};

struct Sizes {
  int64_t most_rows = 90;
  int64_t least_columns = 1;
  int64_t most_columns = 900;
};
// For a UB of 16 KB, of whatever type.
constexpr Sizes kBeyondUb{4, 9000, 20000};

uint32_t dtype_of(Type type) {
  return type == Type::kF32 ? TSR_F32 : type == Type::kF16 ? TSR_F16 : TSR_BF16;
}

// One op in both forms.
class SmallCase {
 public:
  SmallCase(const Profile& profile, const Kind& kind, const Sizes& sizes,
            std::mt19937& rng)
      : profile_(profile), kind_(kind) {
    const auto type = [&] {
      constexpr Type kTypes[] = {Type::kF16, Type::kF32, Type::kBf16};
      return kTypes[rng() % (profile.cube.bf16 ? 3 : 2)];
    };
    op_.kind = kind.kind;
    std::uniform_int_distribution<int64_t> rows(1, sizes.most_rows);
    std::uniform_int_distribution<int64_t> columns(sizes.least_columns,
                                                   sizes.most_columns);
    op_.rows = rows(rng);
    op_.columns = columns(rng);
    op_.type = type();
    op_.out = type();
    std::normal_distribution<float> normal;
    for (int i = 0; i < 2; ++i) {
      std::vector<float> values(
          static_cast<size_t>(input_rows() * op_.columns));
      for (float& value : values) value = 3 * normal(rng);
      inputs_[i] = stored(values, op_.type);
    }
    for (int64_t i = 0; i < op_.columns; ++i) {
      weight_.push_back(normal(rng));
      bias_.push_back(normal(rng));
    }
    if (rng() % 2 == 0) bias_.clear();
    if (kind.kind == SmallKind::kRope) choose_heads(rng);
    for (int64_t row = 0; row < op_.rows; ++row) {
      ids_.push_back(static_cast<int32_t>(rng() % kTableRows));
    }
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
    memory.indices = ids_;
    const auto* ids = reinterpret_cast<const uint8_t*>(ids_.data());
    tensor(Tensor::kIndices).assign(ids, ids + 4 * ids_.size());
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
      case SmallKind::kEmbedding:
        run(Gather{op_.rows, op_.columns, kTableRows, a, ids_.data(), y}, {});
        break;
      default:
        run(Map{map_kind(), op_.rows, op_.columns, a, b, y}, {});
        break;
    }
    return out;
  }

 private:
  int64_t input_rows() const {
    return kind_.kind == SmallKind::kEmbedding ? kTableRows : op_.rows;
  }
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
    op_.head_dim = rng() % 2 == 0 ? rows_.head_dim : 0;
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
  std::vector<int32_t> ids_;
};

class RowPaths : public testing::TestWithParam<const char*> {};

TEST_P(RowPaths, AgreeBitForBit) {
  const Profile profile = load_profile(GetParam());
  std::mt19937 rng(42);
  for (const Kind& kind : kKinds) {
    for (int i = 0; i < kNumShapes; ++i) {
      const SmallCase both(profile, kind, {}, rng);
      ASSERT_EQ(both.instructions(), both.fast()) << both.text();
    }
  }
}

// In a UB of the least size that a profile may have, rows come in parts.
TEST_P(RowPaths, AgreeBitForBitOnRowsBeyondUb) {
  const Profile profile =
      with_parameters(load_profile(GetParam()), {{"local.ub_bytes", 16384}});
  std::mt19937 rng(42);
  for (const Kind& kind : kKinds) {
    if (kind.kind == SmallKind::kRope) continue;  // heads are rows
    for (int i = 0; i < 4; ++i) {
      const SmallCase both(profile, kind, kBeyondUb, rng);
      ASSERT_EQ(both.instructions(), both.fast()) << both.text();
    }
  }
}

TEST_P(RowPaths, AgreeBitForBitBeyondTheChipsOwnUb) {
  const Profile profile = load_profile(GetParam());
  std::mt19937 rng(42);
  for (const Kind& kind : kKinds) {
    if (kind.kind == SmallKind::kRope) continue;
    const SmallCase both(profile, kind, {2, 140000, 150000}, rng);
    ASSERT_EQ(both.instructions(), both.fast()) << both.text();
  }
}

TEST_P(RowPaths, AnIdOutsideTheTableIsRefused) {
  const Profile profile = load_profile(GetParam());
  const SmallOp op{SmallKind::kEmbedding, 1, 64};
  Memory memory;
  memory.tensors[static_cast<uint64_t>(Tensor::kInput)].resize(2 * 64 * 3);
  memory.tensors[static_cast<uint64_t>(Tensor::kOutput)].resize(2 * 64);
  memory.tensors[static_cast<uint64_t>(Tensor::kIndices)].resize(4);
  for (const int32_t id : {3, INT32_MAX}) {
    memory.indices = {id};
    try {
      execute(profile, compile(profile, op, {}), memory);
      FAIL() << "no error for " << id;
    } catch (const sdk::Error& error) {
      EXPECT_EQ(error.code(), TSR_INVALID_ARGUMENT);
      EXPECT_THAT(error.what(), testing::HasSubstr("memory: "));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Chips, RowPaths,
                         testing::Values("910b1", "310p", "310b1"));

}  // namespace
}  // namespace tessera::npu
