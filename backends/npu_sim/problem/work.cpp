// SPDX-License-Identifier: Apache-2.0
//
// The work a problem cannot avoid: operations and bytes.

#include <algorithm>

#include "backends/npu_sim/problem/problem.hpp"

namespace tessera::npu {
namespace {

double bytes_of(Type type) { return static_cast<double>(bits_of(type)) / 8; }

double product(int64_t a, int64_t b) {
  return static_cast<double>(a) * static_cast<double>(b);
}

double weight_bytes(const Gemm& gemm) {
  const double count = product(gemm.N, gemm.K);
  const double scales =
      4 * static_cast<double>(gemm.N) *
      (gemm.group_size > 0
           ? static_cast<double>(gemm.K) / static_cast<double>(gemm.group_size)
           : 1);
  switch (gemm.scheme) {
    case Scheme::kW16A16:
    case Scheme::kBf16:
      return 2 * count;
    case Scheme::kInt8:
      return count;
    case Scheme::kW8A8Sc:
      return count * gemm.compression + scales;
    case Scheme::kW4A16:
    case Scheme::kW4A8:
    case Scheme::kW4A4:
      return count / 2 + scales;
    case Scheme::kW8A8:
    case Scheme::kW8A8Dynamic:
    case Scheme::kW8A16:
    case Scheme::kFp8:
      return count + scales;
  }
  return 0;
}

double input_bytes(const Gemm& gemm) {
  return (gemm.scheme == Scheme::kInt8 ? 1 : 2) * product(gemm.M, gemm.K);
}

double output_bytes(const Gemm& gemm) {
  const int reads =
      (gemm.epilogue.multiply ? 1 : 0) + (gemm.epilogue.residual ? 1 : 0);
  return (1 + reads) * bytes_of(gemm.out) * product(gemm.M, gemm.N);
}

// Scores of one sequence that the mask leaves.
double visible_scores(const Attention& attention, size_t sequence) {
  const int64_t q_len = attention.q_lens[sequence];
  const int64_t seq_len = attention.seq_lens[sequence];
  const int64_t window = attention.window > 0 ? attention.window : seq_len;
  if (!attention.causal) return product(q_len, std::min(window, seq_len));
  // Query i sees before + i + 1 keys, until a window is full.
  const int64_t before = seq_len - q_len;
  const int64_t growing = std::clamp<int64_t>(window - before, 0, q_len);
  return product(growing, 2 * before + 1 + growing) / 2 +
         product(q_len - growing, window);
}

double operations_of_one(const Gemm& gemm) {
  return 2 * product(gemm.M, gemm.N) * static_cast<double>(gemm.K);
}

double operations_of_one(const GroupedGemm& grouped) {
  double sum = 0;
  for (const int64_t rows : grouped.rows) {
    sum +=
        2 * product(grouped.each.N, grouped.each.K) * static_cast<double>(rows);
  }
  return sum;
}

double operations_of_one(const VectorOp& op) {
  return product(op.rows, op.columns);
}

double operations_of_one(const Copy&) { return 0; }

double operations_of_one(const Attention& attention) {
  double scores = 0;
  for (size_t i = 0; i < attention.q_lens.size(); ++i) {
    scores += visible_scores(attention, i);
  }
  return 2 * scores *
         product(attention.num_q_heads, attention.qk_dim + attention.v_dim);
}

double operations_of_one(const SmallOp& op) {
  return product(op.rows, op.columns);
}

double new_elements(const CacheAppend& op) {
  return 2 * product(op.tokens, op.num_kv_heads) *
         static_cast<double>(op.head_dim);
}

double operations_of_one(const CacheAppend& op) { return new_elements(op); }

double bytes_of_one(const Gemm& gemm) {
  return input_bytes(gemm) + weight_bytes(gemm) + output_bytes(gemm);
}

double bytes_of_one(const GroupedGemm& grouped) {
  double sum = 0;
  for (const int64_t rows : grouped.rows) {
    Gemm gemm = grouped.each;
    gemm.M = rows;
    if (rows > 0) sum += bytes_of_one(gemm);
  }
  return sum;
}

double bytes_of_one(const VectorOp& op) {
  return product(op.rows, op.columns) * bytes_of(op.type) *
         static_cast<double>(op.num_inputs + 1);
}

double bytes_of_one(const Copy& copy) {
  return product(copy.rows, copy.columns) * bytes_of(copy.type) *
         static_cast<double>(copy.repeats);
}

double bytes_of_one(const Attention& attention) {
  const bool is_bytes = bits_of(code_type(attention.kv)) == 8;
  const double kv_dims = static_cast<double>(
      attention.qk_dim + (attention.v_in_k ? 0 : attention.v_dim));
  double sum = 0;
  for (size_t i = 0; i < attention.q_lens.size(); ++i) {
    sum += 2 * product(attention.q_lens[i], attention.num_q_heads) *
           static_cast<double>(attention.qk_dim + attention.v_dim);
    sum += (is_bytes ? 1 : 2) *
           product(attention.seq_lens[i], attention.num_kv_heads) * kv_dims;
  }
  return sum;
}

double bytes_of_one(const SmallOp& op) {
  const double count = product(op.rows, op.columns);
  const bool two_inputs =
      op.kind == SmallKind::kSiluMul || op.kind == SmallKind::kAdd;
  return count * (bytes_of(op.type) * (two_inputs ? 2 : 1) + bytes_of(op.out));
}

double bytes_of_one(const CacheAppend& op) {
  const bool is_bytes = bits_of(code_type(op.kv)) == 8;
  const double scales =
      op.kv == KvType::kS8 ? 4 * 2 * product(op.tokens, op.num_kv_heads) : 0;
  return new_elements(op) * (bytes_of(op.type) + (is_bytes ? 1 : 2)) + scales;
}

double written_bytes_of_one(const Gemm& gemm) {
  return bytes_of(gemm.out) * product(gemm.M, gemm.N);
}

double written_bytes_of_one(const GroupedGemm& grouped) {
  double rows = 0;
  for (const int64_t count : grouped.rows) rows += static_cast<double>(count);
  return rows * static_cast<double>(grouped.each.N) *
         bytes_of(grouped.each.out);
}

double written_bytes_of_one(const VectorOp& op) {
  return product(op.rows, op.columns) * bytes_of(op.type);
}

double written_bytes_of_one(const Copy&) { return 0; }

double written_bytes_of_one(const Attention& attention) {
  double tokens = 0;
  for (const int64_t count : attention.q_lens) {
    tokens += static_cast<double>(count);
  }
  return 2 * tokens * product(attention.num_q_heads, attention.v_dim);
}

double written_bytes_of_one(const SmallOp& op) {
  return product(op.rows, op.columns) * bytes_of(op.out);
}

double written_bytes_of_one(const CacheAppend& op) {
  return bytes_of_one(op) - new_elements(op) * bytes_of(op.type);
}

}  // namespace

double least_dram_bytes(const Problem& problem, double cache_bytes) {
  const double written = std::visit(
      [](const auto& one) { return written_bytes_of_one(one); }, problem);
  const double all = canonical_bytes_of(problem);
  if (const auto* copy = std::get_if<Copy>(&problem)) {
    const double once = all / static_cast<double>(copy->repeats);
    return once +
           (all - once) * (once > cache_bytes ? 1 - cache_bytes / once : 0);
  }
  return all - std::min(written, cache_bytes);
}

double operations_of(const Problem& problem) {
  return std::visit([](const auto& one) { return operations_of_one(one); },
                    problem);
}

double canonical_bytes_of(const Problem& problem) {
  return std::visit([](const auto& one) { return bytes_of_one(one); }, problem);
}

}  // namespace tessera::npu
