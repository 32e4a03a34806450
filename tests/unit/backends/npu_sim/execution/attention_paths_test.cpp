// SPDX-License-Identifier: Apache-2.0
//
// Attention by the fast path of function/ and by the instructions that the
// compiler emits: the same bits over random sequences, heads, masks and splits.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "backends/npu_sim/compiler/attention/plan.hpp"
#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "backends/npu_sim/execution/execute.hpp"
#include "backends/npu_sim/function/attention/attention.hpp"
#include "backends/npu_sim/simulation/simulate.hpp"

namespace tessera::npu {
namespace {

constexpr int kNumSteps = 40;
constexpr int64_t kBeatElements = 16;  // 32 bytes of f16

// One step of attention in both forms, over a cache of f16.
class BothPaths {
 public:
  BothPaths(const Profile& profile, std::mt19937& rng)
      : profile_(profile), rng_(rng) {
    choose_step();
    plan_.emplace(plan_attention(profile, attention_));
    fill_pool();
    std::normal_distribution<float> normal;
    q_.resize(static_cast<size_t>(num_tokens_ * attention_.num_q_heads *
                                  attention_.qk_dim));
    for (uint16_t& bits : q_) bits = f16_from_f32(normal(rng));
  }

  std::string text() const {
    std::string lengths;
    for (size_t s = 0; s < attention_.q_lens.size(); ++s) {
      lengths += " " + std::to_string(attention_.q_lens[s]) + " of " +
                 std::to_string(attention_.seq_lens[s]);
    }
    return profile_.name + lengths + ", heads " +
           std::to_string(attention_.num_q_heads) + "/" +
           std::to_string(attention_.num_kv_heads) + " of " +
           std::to_string(attention_.qk_dim) + ", window " +
           std::to_string(attention_.window) + " causal " +
           std::to_string(attention_.causal) + ", tiles " +
           std::to_string(plan_->tile_rows) + "x" +
           std::to_string(plan_->tile_keys) + ", splits " +
           std::to_string(plan_->num_splits) + ", seed 42";
  }
  int64_t num_splits() const { return plan_->num_splits; }

  std::vector<uint16_t> instructions();
  std::vector<uint16_t> fast();

 private:
  void choose_step();
  void fill_pool();
  std::vector<uint8_t> cache(KvPart part) const;

  const Profile& profile_;
  std::mt19937& rng_;
  Attention attention_;
  std::optional<AttentionPlan> plan_;
  int64_t num_tokens_ = 0;
  int64_t blocks_per_seq_ = 0;
  KvPool pool_;
  std::vector<std::byte> memory_;
  std::vector<int32_t> table_;
  std::vector<int32_t> q_starts_ = {0};
  std::vector<int32_t> seq_lens_;
  std::vector<uint16_t> q_;
};

void BothPaths::choose_step() {
  const auto below = [&](int64_t most) {
    return static_cast<int64_t>(rng_() % static_cast<uint32_t>(most));
  };
  const int64_t sequences = 1 + below(3);
  const bool is_decode = below(2) == 0;
  for (int64_t s = 0; s < sequences; ++s) {
    const int64_t q_len = is_decode ? 1 : 1 + below(70);
    attention_.q_lens.push_back(q_len);
    attention_.seq_lens.push_back(q_len + below(is_decode ? 1500 : 200));
  }
  constexpr int64_t kDims[] = {16, 40, 64, 128};
  attention_.qk_dim = attention_.v_dim = kDims[below(4)];
  attention_.num_kv_heads = 1 + below(2);
  attention_.num_q_heads = attention_.num_kv_heads * (1 + below(4));
  attention_.block_size = 16 << below(3);
  attention_.causal = below(4) != 0;
  attention_.window = attention_.causal && below(3) == 0 ? 1 + below(200) : 0;
  if (profile_.cube_cores > 1) attention_.cores = 1 + below(6);
}

void BothPaths::fill_pool() {
  int64_t longest = 0;
  for (const int64_t length : attention_.seq_lens) {
    longest = std::max(longest, length);
  }
  blocks_per_seq_ = ceil_div(longest, attention_.block_size);
  const auto sequences = static_cast<int64_t>(attention_.seq_lens.size());
  tsr_kv_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.format = TSR_KV_F16;
  desc.num_kv_heads = static_cast<uint32_t>(attention_.num_kv_heads);
  desc.head_dim = static_cast<uint32_t>(attention_.qk_dim);
  desc.block_size = static_cast<uint32_t>(attention_.block_size);
  desc.num_blocks = static_cast<uint32_t>(sequences * blocks_per_seq_);
  pool_.layout = make_kv_layout(desc);
  memory_.resize(static_cast<size_t>(pool_.layout.block_bytes) *
                 desc.num_blocks);
  pool_.data = memory_.data();
  table_.resize(desc.num_blocks);
  std::iota(table_.begin(), table_.end(), 0);
  std::normal_distribution<float> normal;
  for (int64_t slot = 0; slot < desc.num_blocks * attention_.block_size;
       ++slot) {
    for (int64_t head = 0; head < attention_.num_kv_heads; ++head) {
      for (const KvPart part : {KvPart::kKey, KvPart::kValue}) {
        std::byte* codes = pool_.codes(part, slot, head);
        for (int64_t d = 0; d < attention_.qk_dim; ++d) {
          const uint16_t bits = f16_from_f32(normal(rng_));
          std::memcpy(codes + 2 * d, &bits, 2);
        }
      }
    }
  }
  for (size_t s = 0; s < attention_.q_lens.size(); ++s) {
    num_tokens_ += attention_.q_lens[s];
    q_starts_.push_back(static_cast<int32_t>(num_tokens_));
    seq_lens_.push_back(static_cast<int32_t>(attention_.seq_lens[s]));
  }
}

// Blocks of one sequence and head after another, each as columns of 32 bytes.
std::vector<uint8_t> BothPaths::cache(KvPart part) const {
  const int64_t block = attention_.block_size;
  const int64_t columns = ceil_div(attention_.qk_dim, kBeatElements);
  const auto sequences = static_cast<int64_t>(seq_lens_.size());
  const int64_t rows = blocks_per_seq_ * block;
  std::vector<uint8_t> bytes(static_cast<size_t>(
      sequences * attention_.num_kv_heads * rows * columns * 32));
  for (int64_t s = 0; s < sequences; ++s) {
    for (int64_t head = 0; head < attention_.num_kv_heads; ++head) {
      for (int64_t key = 0; key < rows; ++key) {
        const std::byte* codes = pool_.codes(part, s * rows + key, head);
        const int64_t first =
            (s * attention_.num_kv_heads + head) * rows + key / block * block;
        for (int64_t d = 0; d < attention_.qk_dim; ++d) {
          const int64_t beat =
              first * columns + d / kBeatElements * block + key % block;
          std::memcpy(
              &bytes[static_cast<size_t>(beat * 32 + d % kBeatElements * 2)],
              codes + 2 * d, 2);
        }
      }
    }
  }
  return bytes;
}

std::vector<uint16_t> BothPaths::instructions() {
  Memory memory;
  const auto tensor = [&](Tensor name) -> std::vector<uint8_t>& {
    return memory.tensors[static_cast<uint64_t>(name)];
  };
  tensor(Tensor::kInput).resize(q_.size() * 2);
  std::memcpy(tensor(Tensor::kInput).data(), q_.data(), q_.size() * 2);
  tensor(Tensor::kWeight) = cache(KvPart::kKey);
  tensor(Tensor::kOther) = cache(KvPart::kValue);
  tensor(Tensor::kOutput).resize(q_.size() * 2);
  const int64_t area = round_up(
      plan_->tile_rows * std::max(plan_->tile_keys, attention_.v_dim) * 4, 512);
  tensor(Tensor::kAccumulators)
      .resize(
          static_cast<size_t>(plan_->cores * 3 * plan_->num_places() * area));
  const int64_t partials = plan_->num_splits * plan_->num_rows();
  tensor(Tensor::kPartials)
      .resize(static_cast<size_t>(partials * attention_.v_dim * 4));
  // What no split writes has seen no key.
  std::vector<float> states(static_cast<size_t>(2 * partials), -INFINITY);
  tensor(Tensor::kScales).resize(states.size() * 4);
  std::memcpy(tensor(Tensor::kScales).data(), states.data(), states.size() * 4);
  memory.attention.scale = 0.125f;
  memory.attention.group = plan_->group();
  memory.attention.causal = attention_.causal;
  memory.attention.window = attention_.window;
  execute(profile_, compile(profile_, attention_, {}), memory);
  std::vector<uint16_t> bits(q_.size());
  std::memcpy(bits.data(), tensor(Tensor::kOutput).data(), bits.size() * 2);
  return bits;
}

std::vector<uint16_t> BothPaths::fast() {
  std::vector<uint16_t> bits(q_.size());
  const int64_t width = attention_.num_q_heads * attention_.qk_dim;
  AttentionStep op;
  op.num_seqs = static_cast<int64_t>(seq_lens_.size());
  op.num_tokens = num_tokens_;
  op.num_q_heads = attention_.num_q_heads;
  op.q = {q_.data(), TSR_F16, width};
  op.out = {bits.data(), TSR_F16, width};
  op.pool = pool_;
  op.q_starts = q_starts_.data();
  op.seq_lens = seq_lens_.data();
  op.block_table = table_.data();
  op.max_blocks_per_seq = blocks_per_seq_;
  op.mask = !attention_.causal       ? TSR_MASK_FULL
            : attention_.window == 0 ? TSR_MASK_CAUSAL
                                     : TSR_MASK_SLIDING;
  op.window = attention_.window;
  op.scale = 0.125f;
  op.tiling = {plan_->tile_keys, plan_->tile_rows, plan_->num_splits};
  AttentionScratch scratch;
  attention(op, scratch, {});
  return bits;
}

class AttentionPaths : public testing::TestWithParam<const char*> {};

TEST_P(AttentionPaths, AgreeBitForBit) {
  const Profile profile = load_profile(GetParam());
  std::mt19937 rng(42);
  int with_splits = 0;
  for (int i = 0; i < kNumSteps; ++i) {
    BothPaths both(profile, rng);
    with_splits += both.num_splits() > 1 ? 1 : 0;
    const std::vector<uint16_t> fast = both.fast();
    ASSERT_EQ(both.instructions(), fast) << both.text();
  }
  if (profile.cube_cores > 1) {
    EXPECT_GT(with_splits, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Chips, AttentionPaths,
                         testing::Values("910b1", "310p", "310b1"));

}  // namespace
}  // namespace tessera::npu
