// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/timed/attention/attention_facts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "framework/bench/timed/random_values.hpp"
#include "framework/format/kv_block.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::bench {
namespace {

constexpr uint32_t kMaxAppendTokens = 1024;  // of one step

struct KvName {
  const char* name;
  uint32_t format;
  uint32_t dtype;  // of q and out, if the device takes it
  Compute compute;
};

constexpr KvName kKvNames[] = {
    {"f32", TSR_KV_F32, TSR_F32, Compute::kF32},
    {"f16", TSR_KV_F16, TSR_F16, Compute::kF32},
    {"bf16", TSR_KV_BF16, TSR_BF16, Compute::kBf16},
    {"int8", TSR_KV_I8_TOKEN, TSR_BF16, Compute::kBf16},
    {"fa3", TSR_KV_I8_HEAD, TSR_BF16, Compute::kInt8},
};

const KvName& kv_named(const std::string& name) {
  for (const KvName& row : kKvNames) {
    if (name == row.name) return row;
  }
  return kKvNames[1];
}

// The type that q and out have on a device: `wanted`, else what it takes.
uint32_t choose_dtype(const Device& device, uint32_t kv_format,
                      uint32_t wanted) {
  for (const uint32_t dtype :
       {wanted, uint32_t{TSR_F16}, uint32_t{TSR_F32}, uint32_t{TSR_BF16}}) {
    KernelQuery query{TSR_OP_ATTENTION, dtype, 0, 0, kv_format};
    if (has_kernel(device, query)) return dtype;
  }
  return wanted;
}

}  // namespace

Result<AttentionFacts> read_attention_facts(const Device& device,
                                            const OpQuestion& q) {
  if (q.v_in_k || (q.v_dim != 0 && q.v_dim != q.head_dim)) {
    return Status(TSR_UNIMPLEMENTED,
                  "attention with V of another size runs on simulated devices "
                  "alone");
  }
  const auto size = [](int64_t value) { return static_cast<uint32_t>(value); };
  AttentionFacts facts;
  facts.batch = size(q.batch);
  facts.q_len = size(q.q_len);
  facts.kv_len = size(q.kv_len);
  facts.heads = size(q.heads);
  facts.kv_heads = size(q.kv_heads == 0 ? q.heads : q.kv_heads);
  facts.head_dim = size(q.head_dim);
  if (facts.q_len > facts.kv_len) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("q_len {} is more than kv_len {}, which counts "
                              "them",
                              facts.q_len, facts.kv_len));
  }
  if (facts.heads % facts.kv_heads != 0) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{} heads are no multiple of {} KV heads",
                              facts.heads, facts.kv_heads));
  }
  const KvName& kv = kv_named(q.kv);
  facts.kv_format = kv.format;
  facts.dtype = choose_dtype(device, kv.format, kv.dtype);
  facts.error_class = error_class_of(
      device, {TSR_OP_ATTENTION, facts.dtype, 0, 0, facts.kv_format});
  facts.scale = 1.0f / std::sqrt(static_cast<float>(facts.head_dim));
  facts.append_tokens = std::min(facts.kv_len, kMaxAppendTokens);
  const size_t values =
      size_t{facts.append_tokens} * facts.kv_heads * facts.head_dim;
  facts.k = random_values(values, 2);
  facts.v = random_values(values, 3);
  round_to_bytes(facts.k, facts.dtype);
  round_to_bytes(facts.v, facts.dtype);
  return facts;
}

uint64_t kv_bytes(const AttentionFacts& facts) {
  uint32_t dtype = TSR_I8;
  if (facts.kv_format == TSR_KV_F32) dtype = TSR_F32;
  if (facts.kv_format == TSR_KV_F16) dtype = TSR_F16;
  if (facts.kv_format == TSR_KV_BF16) dtype = TSR_BF16;
  const uint64_t heads = uint64_t{facts.batch} * facts.kv_len * facts.kv_heads;
  const uint64_t scales =
      facts.kv_format == TSR_KV_I8_TOKEN ? heads * sizeof(float) : 0;
  return 2 * (dtype_bytes(dtype, heads * facts.head_dim) + scales);
}

OpCost attention_cost(const AttentionFacts& facts, const std::string& kv) {
  // Token i of q_len sees kv_len - q_len + i + 1 keys.
  const uint64_t q_len = facts.q_len;
  const uint64_t scores =
      q_len * (facts.kv_len - facts.q_len) + q_len * (q_len + 1) / 2;
  OpCost cost;
  cost.bytes = kv_bytes(facts) +
               2 * dtype_bytes(facts.dtype, uint64_t{facts.tokens()} *
                                                facts.heads * facts.head_dim);
  cost.operations =
      4 * uint64_t{facts.batch} * scores * facts.heads * facts.head_dim;
  cost.compute = kv_named(kv).compute;
  return cost;
}

std::vector<float> static_scales(const AttentionFacts& facts, bool inverse) {
  return std::vector<float>(size_t{2} * facts.kv_heads,
                            inverse ? 1.0f / kInt8Scale : kInt8Scale);
}

std::vector<int32_t> fa3_thresholds(const AttentionFacts& facts) {
  std::array<int32_t, kNumThresholds> row{};
  format::probability_thresholds(
      double{kInt8Scale} * double{kInt8Scale} * double{facts.scale}, row);
  std::vector<int32_t> all;
  for (uint32_t head = 0; head < facts.heads; ++head) {
    all.insert(all.end(), row.begin(), row.end());
  }
  return all;
}

}  // namespace tessera::bench
