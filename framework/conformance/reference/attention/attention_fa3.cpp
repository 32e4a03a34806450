// SPDX-License-Identifier: Apache-2.0
//
// Integer attention, bit for bit as numerics.md section 2 writes it.  Compiled
// without FMA contraction.

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "framework/conformance/reference/attention/attention.hpp"
#include "framework/conformance/reference/attention/attention_walk.hpp"
#include "framework/conformance/reference/linear/activation.hpp"
#include "framework/format/element.hpp"

namespace tessera::reference {
namespace {

constexpr int32_t kMaxCode = 127;
// 127 * 127 * 133,000 < 2^31.
constexpr uint32_t kMaxSeqLen = 133000;

Status check(const Attention& p, const KvPool& pool) {
  TSR_RETURN_IF_ERROR(check_attention(p, pool));
  if (pool.desc().format != TSR_KV_I8_HEAD) {
    return Status(TSR_INVALID_ARGUMENT, "attention fa3: kv format " +
                                            std::to_string(pool.desc().format) +
                                            " is not i8_head");
  }
  if (p.q_inv == nullptr || p.thresholds == nullptr) {
    return Status(TSR_INVALID_ARGUMENT,
                  "attention fa3: no q_inv or no thresholds");
  }
  for (uint32_t seq = 0; seq < p.num_seqs; ++seq) {
    if (p.seq_lens[seq] > static_cast<int32_t>(kMaxSeqLen)) {
      return Status(TSR_INVALID_ARGUMENT, "attention fa3: seq_len " +
                                              std::to_string(p.seq_lens[seq]) +
                                              " is above " +
                                              std::to_string(kMaxSeqLen));
    }
  }
  return {};
}

// The code of a probability, 0 .. 127; thresholds fall as k grows.
int32_t probability_code(const int32_t* thresholds, int32_t d) {
  int32_t code = 0;
  while (code < kMaxCode && d <= thresholds[code]) ++code;
  return code;
}

std::vector<int32_t> read_codes(const KvPool& pool, KvPart part, uint64_t slot,
                                uint32_t head) {
  const std::byte* row = pool.codes(part, slot, head);
  std::vector<int32_t> codes(pool.desc().head_dim);
  for (size_t i = 0; i < codes.size(); ++i) {
    codes[i] = int32_t{format::load_element<int8_t>(row, i)};
  }
  return codes;
}

// One query of codes against the cached positions it may see.
struct Query {
  uint32_t seq;
  uint32_t kv_head;
  Visible seen;
  std::vector<int32_t> codes;
  const int32_t* thresholds;
  float scale_v;
};

void attend(const Attention& p, const KvPool& pool, const Query& query,
            float* out) {
  const size_t D = query.codes.size();
  std::vector<int32_t> scores;
  for (uint32_t j = query.seen.begin; j < query.seen.end; ++j) {
    const auto key = read_codes(pool, KvPart::kKey,
                                slot_of(p, pool, query.seq, j), query.kv_head);
    int32_t score = 0;
    for (size_t i = 0; i < D; ++i) score += query.codes[i] * key[i];
    scores.push_back(score);
  }
  const int32_t row_max = *std::max_element(scores.begin(), scores.end());

  int32_t row_sum = 0;
  std::vector<int64_t> sums(D);  // fits i32; memory may hold a code of -128
  for (uint32_t j = query.seen.begin; j < query.seen.end; ++j) {
    const int32_t code = probability_code(
        query.thresholds, row_max - scores[j - query.seen.begin]);
    row_sum += code;
    const auto value = read_codes(
        pool, KvPart::kValue, slot_of(p, pool, query.seq, j), query.kv_head);
    for (size_t i = 0; i < D; ++i) sums[i] += int64_t{code} * value[i];
  }
  const float scale = query.scale_v / static_cast<float>(row_sum);
  for (size_t i = 0; i < D; ++i) out[i] = static_cast<float>(sums[i]) * scale;
}

bool quantize_query(const float* q, float inv, std::vector<int32_t>& codes) {
  for (size_t i = 0; i < codes.size(); ++i) {
    if (!std::isfinite(q[i])) return false;
    const float product = q[i] * inv;
    codes[i] = round_to_code(product, 0, -kMaxCode, kMaxCode);
  }
  return true;
}

}  // namespace

Status attention_fa3(const Attention& p, const KvPool& pool, float* out) {
  TSR_RETURN_IF_ERROR(check(p, pool));
  const tsr_kv_desc& desc = pool.desc();
  const uint32_t heads_per_kv = p.num_q_heads / desc.num_kv_heads;

  for_each_sequence(p, [&](uint32_t seq, uint32_t first, uint32_t q_len,
                           uint32_t seq_len) {
    for (uint32_t t = 0; t < q_len; ++t) {
      const Visible seen = visible_positions(p, seq_len - q_len + t, seq_len);
      for (uint32_t h = 0; h < p.num_q_heads; ++h) {
        const size_t row =
            (size_t{first + t} * p.num_q_heads + h) * desc.head_dim;
        const uint32_t kv_head = h / heads_per_kv;
        Query query{
            seq,
            kv_head,
            seen,
            std::vector<int32_t>(desc.head_dim),
            p.thresholds + size_t{h} * kMaxCode,
            p.kv_scale[static_scale_index(desc, KvPart::kValue, kv_head, 0)]};
        if (quantize_query(p.q + row, p.q_inv[h], query.codes)) {
          attend(p, pool, query, out + row);
        } else {
          std::fill_n(out + row, desc.head_dim,
                      std::numeric_limits<float>::quiet_NaN());
        }
      }
    }
  });
  return {};
}

}  // namespace tessera::reference
