// SPDX-License-Identifier: Apache-2.0
//
// A timed attention as numbers: shapes, types, and the data of its cache.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/bench/op_question.hpp"
#include "framework/bench/timed/timed_op.hpp"
#include "framework/host/device/device.hpp"

namespace tessera::bench {

constexpr uint32_t kBlockSize = 16;
constexpr uint32_t kNumThresholds = 127;
constexpr float kInt8Scale = 4.5f / 127.0f;  // of values of deviation 1

struct AttentionFacts {
  uint32_t batch = 1;
  uint32_t q_len = 1;
  uint32_t kv_len = 1;
  uint32_t heads = 1;
  uint32_t kv_heads = 1;
  uint32_t head_dim = 1;
  uint32_t kv_format = 0;
  uint32_t dtype = 0;  // of q and out
  uint32_t error_class = 0;
  uint32_t append_tokens = 1;  // rows of k and v, which repeat
  float scale = 1.0f;
  std::vector<float> q;
  std::vector<float> k;
  std::vector<float> v;

  uint32_t tokens() const { return batch * q_len; }
  uint32_t blocks_per_seq() const {
    return (kv_len + kBlockSize - 1) / kBlockSize;
  }
  bool is_fa3() const { return kv_format == TSR_KV_I8_HEAD; }
  tsr_kv_desc desc(uint32_t num_seqs) const {
    tsr_kv_desc desc{};
    desc.struct_size = sizeof(desc);
    desc.format = kv_format;
    desc.num_kv_heads = kv_heads;
    desc.head_dim = head_dim;
    desc.block_size = kBlockSize;
    desc.num_blocks = blocks_per_seq() * num_seqs;
    return desc;
  }
};

// Places in TimedOp::buffers.
enum : size_t {
  kOut,
  kQ,
  kQStarts,
  kSeqLens,
  kBlockTable,
  kConstants  // fa3: q_inv, q_scale, kv_scale, thresholds
};

// Errors  INVALID_ARGUMENT if heads or lengths do not fit each other;
//         UNIMPLEMENTED for what only simulated devices do
Result<AttentionFacts> read_attention_facts(const Device& device,
                                            const OpQuestion& question);

// Scales of static int8 attention, all alike.
std::vector<float> static_scales(const AttentionFacts& facts, bool inverse);

// Where a probability becomes the next code, of each head.
std::vector<int32_t> fa3_thresholds(const AttentionFacts& facts);

// Bytes of K and V, scales included, that one run reads.
uint64_t kv_bytes(const AttentionFacts& facts);

// `kv` is the cache's name in the question.
OpCost attention_cost(const AttentionFacts& facts, const std::string& kv);

}  // namespace tessera::bench
