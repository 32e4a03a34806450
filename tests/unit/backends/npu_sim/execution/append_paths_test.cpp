// SPDX-License-Identifier: Apache-2.0
//
// kv_append by the fast path of function/ and by instructions: every cache of
// the two holds the same bits, tokens that no slot takes included.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/compiler/rows/cache_append.hpp"
#include "backends/npu_sim/execution/execute.hpp"
#include "backends/npu_sim/function/attention/kv_append.hpp"
#include "backends/npu_sim/simulation/simulate.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kNumShapes = 10;
constexpr int64_t kPositions = 50;
constexpr uint8_t kUntouched = 0xA5;

constexpr KvType kKvTypes[] = {KvType::kF16, KvType::kBf16, KvType::kS8,
                               KvType::kFa3, KvType::kS8Channel};

uint32_t format_of(KvType kv) {
  constexpr uint32_t kFormats[] = {TSR_KV_F16, TSR_KV_BF16, TSR_KV_I8_TOKEN,
                                   TSR_KV_I8_HEAD, TSR_KV_I8_CHANNEL};
  return kFormats[static_cast<size_t>(kv)];
}

uint32_t dtype_of(Type type) {
  return type == Type::kF32 ? TSR_F32 : type == Type::kF16 ? TSR_F16 : TSR_BF16;
}

template <typename Value>
std::vector<uint8_t> bytes_of(const std::vector<Value>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(Value));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// Codes of keys, of values, and their scales, slot by slot and head by head.
struct Cache {
  std::vector<uint8_t> codes[2];
  std::vector<uint8_t> scales[2];

  bool operator==(const Cache& other) const {
    return std::equal(std::begin(codes), std::end(codes),
                      std::begin(other.codes)) &&
           std::equal(std::begin(scales), std::end(scales),
                      std::begin(other.scales));
  }
};

class AppendCase {
 public:
  AppendCase(const Profile& profile, KvType kv, std::mt19937& rng)
      : profile_(profile), rng_(rng) {
    constexpr Type kTypes[] = {Type::kF16, Type::kF32, Type::kBf16};
    op_.kv = kv;
    op_.tokens = 1 + below(60);
    op_.num_kv_heads = 1 + below(5);
    op_.head_dim = 2 * (8 + below(90));
    op_.block_size = 1 + below(40);
    op_.type = kTypes[below(profile.cube.bf16 ? 3 : 2)];
    op_.rotates = below(2) == 0;
    if (profile.vector_cores > 1) {
      op_.cores = 1 + below(std::min<int64_t>(12, profile.vector_cores));
    }
    num_blocks_ = (op_.tokens + op_.block_size - 1) / op_.block_size + 2;
    choose_values();
    choose_slots();
    choose_rotation();
    std::uniform_real_distribution<float> scale(5.0f, 60.0f);
    const int64_t each = kv == KvType::kS8Channel ? op_.head_dim : 1;
    inverse_.resize(static_cast<size_t>(2 * op_.num_kv_heads * each));
    for (float& value : inverse_) value = scale(rng_);
  }

  std::string text() const {
    return profile_.name + " " + key_of(op_) + " seed 42";
  }

  Cache fast() const {
    std::vector<std::byte> memory;
    const KvPool pool = pool_in(memory);
    KvAppend append;
    append.num_tokens = op_.tokens;
    const int64_t width = op_.num_kv_heads * op_.head_dim;
    append.k = {inputs_[0].data(), dtype_of(op_.type), width};
    append.v = {inputs_[1].data(), dtype_of(op_.type), width};
    append.pool = pool;
    append.slot_mapping = slots_.data();
    append.style = facts_.style;
    append.rotary_dim = facts_.rotary_dim;
    append.positions = facts_.positions.data();
    append.table = facts_.table.data();
    append.max_positions = kPositions;
    append.kv_inv = inverse_.data();
    kv_append(append, {});
    return read(pool);
  }

  Cache instructions() const {
    Memory memory;
    const auto tensor = [&](Tensor name) -> std::vector<uint8_t>& {
      return memory.tensors[static_cast<uint64_t>(name)];
    };
    tensor(Tensor::kInput) = inputs_[0];
    tensor(Tensor::kOther) = inputs_[1];
    tensor(Tensor::kIndices) = bytes_of(slots_);
    const auto places = static_cast<size_t>(num_slots() * op_.num_kv_heads);
    for (const Tensor name : {Tensor::kKeyCache, Tensor::kValueCache}) {
      tensor(name).assign(
          places * static_cast<size_t>(columns() * column_bytes()), kUntouched);
    }
    for (const Tensor name : {Tensor::kKeyScales, Tensor::kValueScales}) {
      tensor(name).assign(4 * places, kUntouched);
    }
    memory.indices = slots_;
    memory.rows = facts_;
    memory.rows.num_heads = op_.num_kv_heads;
    memory.cache.finds_scales = op_.kv == KvType::kS8;
    memory.cache.inverse = inverse_;
    memory.cache.by_channel = op_.kv == KvType::kS8Channel;
    execute(profile_, compile(profile_, op_, {}), memory);
    Cache cache;
    read_device(tensor(Tensor::kKeyCache), tensor(Tensor::kKeyScales), 0,
                cache);
    read_device(tensor(Tensor::kValueCache), tensor(Tensor::kValueScales), 1,
                cache);
    return cache;
  }

 private:
  int64_t below(int64_t most) {
    return static_cast<int64_t>(rng_() % static_cast<uint32_t>(most));
  }
  int64_t num_slots() const { return num_blocks_ * op_.block_size; }
  int64_t code_bytes() const { return bits_of(code_type(op_.kv)) / 8; }
  int64_t column_bytes() const {
    return cache_column_dims(op_.kv) * code_bytes();
  }
  int64_t columns() const {
    const int64_t dims = cache_column_dims(op_.kv);
    return (op_.head_dim + dims - 1) / dims;
  }

  void choose_values() {
    std::normal_distribution<float> normal;
    const int64_t count = op_.tokens * op_.num_kv_heads * op_.head_dim;
    for (std::vector<uint8_t>& input : inputs_) {
      std::vector<float> values(static_cast<size_t>(count));
      for (float& value : values) value = 2 * normal(rng_);
      if (below(4) == 0) values[0] = std::numeric_limits<float>::quiet_NaN();
      input.resize(static_cast<size_t>(count * bits_of(op_.type) / 8));
      store_row({input.data(), dtype_of(op_.type), count}, 0, 0, count,
                values.data());
    }
  }
  // Scattered, and some tokens have none.
  void choose_slots() {
    slots_.resize(static_cast<size_t>(num_slots()));
    std::iota(slots_.begin(), slots_.end(), 0);
    std::shuffle(slots_.begin(), slots_.end(), rng_);
    slots_.resize(static_cast<size_t>(op_.tokens));
    for (int32_t& slot : slots_) {
      if (below(5) == 0) slot = -1;
    }
  }
  void choose_rotation() {
    if (!op_.rotates) return;
    facts_.style = below(2) == 0 ? TSR_ROPE_HALF : TSR_ROPE_INTERLEAVED;
    facts_.head_dim = op_.head_dim;
    facts_.rotary_dim = 2 * (1 + below(op_.head_dim / 2));
    std::normal_distribution<float> normal;
    facts_.table.resize(static_cast<size_t>(kPositions * facts_.rotary_dim));
    for (float& value : facts_.table) value = normal(rng_);
    for (int64_t token = 0; token < op_.tokens; ++token) {
      facts_.positions.push_back(static_cast<int32_t>(below(kPositions)));
    }
  }

  KvPool pool_in(std::vector<std::byte>& memory) const {
    tsr_kv_desc desc{};
    desc.struct_size = sizeof(desc);
    desc.format = format_of(op_.kv);
    desc.num_kv_heads = static_cast<uint32_t>(op_.num_kv_heads);
    desc.head_dim = static_cast<uint32_t>(op_.head_dim);
    desc.block_size = static_cast<uint32_t>(op_.block_size);
    desc.num_blocks = static_cast<uint32_t>(num_blocks_);
    const KvLayout layout = make_kv_layout(desc);
    memory.assign(static_cast<size_t>(layout.block_bytes * layout.num_blocks),
                  std::byte{kUntouched});
    return {layout, memory.data()};
  }
  Cache read(const KvPool& pool) const {
    Cache cache;
    for (int64_t at = 0; at < num_slots() * op_.num_kv_heads; ++at) {
      const int64_t slot = at / op_.num_kv_heads;
      const int64_t head = at % op_.num_kv_heads;
      for (const KvPart part : {KvPart::kKey, KvPart::kValue}) {
        const auto number = static_cast<size_t>(part);
        const auto* codes =
            reinterpret_cast<const uint8_t*>(pool.codes(part, slot, head));
        cache.codes[number].insert(cache.codes[number].end(), codes,
                                   codes + op_.head_dim * code_bytes());
        if (op_.kv != KvType::kS8) continue;
        const auto* scale = reinterpret_cast<const uint8_t*>(
            pool.token_scale(part, slot, head));
        cache.scales[number].insert(cache.scales[number].end(), scale,
                                    scale + 4);
      }
    }
    return cache;
  }
  // Blocks of heads of columns of tokens, as attention reads them.
  void read_device(const std::vector<uint8_t>& codes,
                   const std::vector<uint8_t>& scales, size_t part,
                   Cache& out_cache) const {
    const int64_t wide = column_bytes();
    for (int64_t at = 0; at < num_slots() * op_.num_kv_heads; ++at) {
      const int64_t slot = at / op_.num_kv_heads;
      const int64_t head =
          slot / op_.block_size * op_.num_kv_heads + at % op_.num_kv_heads;
      const int64_t in_block = slot % op_.block_size;
      for (int64_t byte = 0; byte < op_.head_dim * code_bytes(); ++byte) {
        const int64_t row =
            (head * columns() + byte / wide) * op_.block_size + in_block;
        out_cache.codes[part].push_back(
            codes[static_cast<size_t>(row * wide + byte % wide)]);
      }
      if (op_.kv != KvType::kS8) continue;
      const auto* scale =
          scales.data() + 4 * (head * op_.block_size + in_block);
      out_cache.scales[part].insert(out_cache.scales[part].end(), scale,
                                    scale + 4);
    }
  }

  const Profile& profile_;
  std::mt19937& rng_;
  CacheAppend op_;
  int64_t num_blocks_ = 0;
  std::vector<uint8_t> inputs_[2];
  std::vector<int32_t> slots_;
  RowFacts facts_;
  std::vector<float> inverse_;
};

class AppendPaths : public testing::TestWithParam<const char*> {};

TEST_P(AppendPaths, AgreeBitForBit) {
  const Profile profile = load_profile(GetParam());
  std::mt19937 rng(42);
  for (const KvType kv : kKvTypes) {
    if (kv == KvType::kBf16 && !profile.cube.bf16) continue;
    for (int64_t i = 0; i < kNumShapes; ++i) {
      const AppendCase both(profile, kv, rng);
      ASSERT_TRUE(both.instructions() == both.fast()) << both.text();
    }
  }
}

// Steps of few heads each, and lists of slots that come in pieces.
TEST_P(AppendPaths, AgreeBitForBitInASmallUb) {
  const Profile profile =
      with_parameters(load_profile(GetParam()), {{"local.ub_bytes", 16384}});
  std::mt19937 rng(42);
  for (int64_t i = 0; i < kNumShapes; ++i) {
    const AppendCase both(profile, KvType::kS8, rng);
    ASSERT_TRUE(both.instructions() == both.fast()) << both.text();
  }
}

INSTANTIATE_TEST_SUITE_P(Chips, AppendPaths,
                         testing::Values("910b1", "310p", "310b1"));

}  // namespace
}  // namespace tessera::npu
