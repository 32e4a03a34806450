// SPDX-License-Identifier: Apache-2.0
//
// Float attention: scores, softmax and weighted sum, one token and head at a
// time, in double; in f32 for the other summation orders.

#include "framework/conformance/reference/attention/attention.hpp"

#include <span>
#include <type_traits>
#include <vector>

#include "framework/conformance/reference/attention/attention_walk.hpp"
#include "framework/conformance/reference/attention/softmax.hpp"
#include "framework/conformance/reference/portable.hpp"
#include "framework/tensor/half.hpp"

namespace tessera::reference {
namespace {

// [rows, cols] -> [cols, rows], so that scores of neighbouring positions are
// computed side by side.
std::vector<double> transpose(const std::vector<double>& values, size_t cols) {
  const size_t rows = values.size() / cols;
  std::vector<double> result(values.size());
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < cols; ++c) {
      result[c * rows + r] = values[r * cols + c];
    }
  }
  return result;
}

// `value` as a factor of a product.
double factor(const Attention& p, double value) {
  return p.factor_dtype == TSR_F32
             ? value
             : rounded_to(p.factor_dtype, static_cast<float>(value));
}

std::vector<double> read_factors(const Attention& p, const KvPool& pool,
                                 KvPart part, uint32_t seq, uint32_t kv_head) {
  std::vector<double> values = read_cache(p, pool, part, seq, kv_head);
  for (double& value : values) value = factor(p, value);
  return values;
}

// The cache of one sequence and KV head.
struct Cache {
  size_t seq_len;
  std::vector<double> keys;    // [head_dim, seq_len]
  std::vector<double> values;  // [seq_len, head_dim]
};

// weights = exp(scores - m), m their maximum; gives the sum.
template <typename Sum>
double weigh(const Attention& p, std::vector<Sum>& scores,
             std::vector<double>& weights) {
  if constexpr (std::is_same_v<Sum, float>) {
    if (p.portable_softmax) {
      const float total = portable_exponentials(scores.data(), scores.size());
      weights.assign(scores.begin(), scores.end());
      return total;
    }
  }
  weights.assign(scores.begin(), scores.end());
  return exponentials(weights.data(), weights.size(), p.sum_order);
}

// One query against positions seen.begin .. seen.end - 1, summed in Sum.
template <typename Sum, typename Out>
void attend(const float* q, const Cache& cache, Visible seen,
            const Attention& p, std::span<Out> out) {
  const size_t D = out.size();
  const size_t count = seen.end - seen.begin;
  std::vector<Sum> scores(count);
  for_each_term(p.sum_order, D, [&](size_t i) {
    const double* keys = &cache.keys[i * cache.seq_len + seen.begin];
    const double own = factor(p, q[i]);
    for (size_t j = 0; j < count; ++j) {
      scores[j] += static_cast<Sum>(own * keys[j]);
    }
  });
  for (Sum& score : scores) score *= static_cast<Sum>(p.scale);
  std::vector<double> weights;
  const double total = weigh(p, scores, weights);
  const bool divides_last = p.factor_dtype != TSR_F32;
  for (double& weight : weights) {
    weight = divides_last ? factor(p, weight) : weight / total;
  }

  std::vector<Sum> sums(D);
  for_each_term(p.sum_order, count, [&](size_t j) {
    const double* values = &cache.values[(seen.begin + j) * D];
    for (size_t i = 0; i < D; ++i) {
      sums[i] += static_cast<Sum>(weights[j] * values[i]);
    }
  });
  for (size_t i = 0; i < D; ++i) {
    out[i] = static_cast<Out>(divides_last ? sums[i] / total : sums[i]);
  }
}

}  // namespace

template <typename Out>
Status attention(const Attention& p, const KvPool& pool, Out* out) {
  TSR_RETURN_IF_ERROR(check_attention(p, pool));
  const uint32_t D = pool.desc().head_dim;
  const uint32_t heads_per_kv = p.num_q_heads / pool.desc().num_kv_heads;

  for_each_sequence(p, [&](uint32_t seq, uint32_t first, uint32_t q_len,
                           uint32_t seq_len) {
    for (uint32_t kv_head = 0; kv_head < pool.desc().num_kv_heads; ++kv_head) {
      const Cache cache{
          seq_len,
          transpose(read_factors(p, pool, KvPart::kKey, seq, kv_head), D),
          read_factors(p, pool, KvPart::kValue, seq, kv_head)};
      for (uint32_t t = 0; t < q_len; ++t) {
        const Visible seen = visible_positions(p, seq_len - q_len + t, seq_len);
        for (uint32_t h = 0; h < heads_per_kv; ++h) {
          const size_t row =
              size_t{first + t} * p.num_q_heads + (kv_head * heads_per_kv + h);
          const std::span<Out> to(out + row * D, D);
          if (p.sum_order == SumOrder::kDouble) {
            attend<double>(p.q + row * D, cache, seen, p, to);
          } else {
            attend<float>(p.q + row * D, cache, seen, p, to);
          }
        }
      }
    }
  });
  return {};
}

template Status attention(const Attention&, const KvPool&, float*);
template Status attention(const Attention&, const KvPool&, double*);

}  // namespace tessera::reference
