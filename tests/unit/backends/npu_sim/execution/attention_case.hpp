// SPDX-License-Identifier: Apache-2.0
//
// A random step of attention in three forms: compiled instructions on data,
// the fast path of function/, and the oracle.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "backends/npu_sim/compiler/attention/plan.hpp"
#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/execution/execute.hpp"
#include "backends/npu_sim/function/attention/attention.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

inline constexpr float kSoftmaxScale = 0.125f;

// Whether V has K's dims, others, or lies in K.
enum class ValueShape : uint8_t { kAsKeys, kOwnDim, kInKeys };

class AttentionCase {
 public:
  AttentionCase(const Profile& profile, KvType kv, ValueShape shape,
                std::mt19937& rng);

  std::string text() const;
  int64_t num_splits() const { return plan_->num_splits; }
  uint32_t dtype() const {
    return attention_.kv == KvType::kBf16 ? TSR_BF16 : TSR_F16;
  }

  // Bits of the output, [tokens, heads, v_dim].
  std::vector<uint16_t> instructions();
  std::vector<uint16_t> fast();
  // Of integer attention the bound is 0.
  void oracle(std::vector<double>& out_values, std::vector<double>& out_bound);

 private:
  void choose_step(ValueShape shape);
  void choose_scales();
  void fill_cache();
  KvLayout layout_of(int64_t v_dim, bool v_in_k) const;
  std::vector<std::byte> pool_memory(const KvLayout& layout) const;
  int64_t slot(int64_t sequence, int64_t key) const;
  int64_t code_bytes() const;
  uint32_t format() const;
  int64_t below(int64_t most) {
    return static_cast<int64_t>(rng_() % static_cast<uint32_t>(most));
  }
  double below_halves() const;
  size_t output_size() const {
    return static_cast<size_t>(num_tokens_ * attention_.num_q_heads *
                               attention_.v_dim);
  }
  std::vector<uint8_t> cache(KvPart part) const;
  std::vector<float> device_scales(KvPart part) const;
  void lay_out(Memory& memory) const;
  void lay_out_workspace(Memory& memory) const;

  const Profile& profile_;
  std::mt19937& rng_;
  Attention attention_;
  std::optional<AttentionPlan> plan_;
  int64_t num_tokens_ = 0;
  int64_t blocks_per_seq_ = 0;
  std::vector<int32_t> table_;
  std::vector<int32_t> q_starts_ = {0};
  std::vector<int32_t> seq_lens_;
  std::vector<uint16_t> q_;
  // Of K and of V, by slot, KV head and dim; V has K's dims here, so that the
  // oracle can take it.
  std::array<std::vector<uint16_t>, 2> codes_;
  std::array<std::vector<float>, 2> token_scales_;  // by slot and KV head
  std::vector<float> kv_scale_;                     // of static formats
  std::vector<float> q_inverse_;
  std::vector<int32_t> thresholds_;
};

}  // namespace tessera::npu
