// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels.hpp"
#include "tessera/portable_math.h"

namespace mutant {
namespace {

constexpr float kSmallest = 0x1p-100f;

// The codes of one token, minus their zero point.
struct Codes {
  std::vector<int32_t> values;
  float scale = 0;
};

float round_code(float x) {
  if (has("rounds_half_away")) return std::round(x);
  return std::nearbyint(x);
}

bool quantize_dynamic(const std::vector<float>& x, Codes& codes) {
  float amax = 0;
  const size_t seen = has("amax_of_whole_vectors") && x.size() > 16
                          ? x.size() / 16 * 16
                          : x.size();
  for (size_t k = 0; k < seen; ++k) amax = std::max(amax, std::fabs(x[k]));
  if (amax < kSmallest && !has("tiny_rows_scaled")) {
    codes.scale = 0;
    std::fill(codes.values.begin(), codes.values.end(), 0);
    return true;
  }
  const float inv = 127.0f / amax;
  for (size_t k = 0; k < x.size(); ++k) {
    const float code = round_code(x[k] * inv);
    codes.values[k] =
        std::isfinite(code)
            ? static_cast<int32_t>(std::clamp(code, -127.0f, 127.0f))
            : 0;
  }
  const float reciprocal = 1.0f / 127.0f;
  codes.scale = amax * reciprocal;
  return true;
}

void quantize_static(const MutantWeight& weight, const std::vector<float>& x,
                     Codes& codes) {
  const int32_t zero = weight.act_zero_point;
  for (size_t k = 0; k < x.size(); ++k) {
    const float wanted =
        round_code(std::clamp(x[k] * weight.act_inv, -1e6f, 1e6f));
    int32_t code = static_cast<int32_t>(wanted) + zero;
    code = has("saturation_missing") ? static_cast<signed char>(code)
                                     : std::clamp(code, -128, 127);
    codes.values[k] = code - (has("act_zero_point_ignored") ? 0 : zero);
  }
  codes.scale = weight.act_scale;
}

Codes quantize(const LinearWork& work, uint64_t m,
               const std::vector<float>& x) {
  Codes codes;
  codes.values.resize(x.size());
  const bool finite =
      std::all_of(x.begin(), x.end(), [](float v) { return std::isfinite(v); });
  if (!finite && !has("nan_swallowed")) {
    codes.scale = std::numeric_limits<float>::quiet_NaN();
    return codes;
  }
  bool is_static = work.op.act_quant == TSR_ACT_I8_STATIC;
  if (work.op.act_quant == TSR_ACT_I8_MIX) {
    is_static = m < work.num_decode_tokens;
    if (has("mix_all_static")) is_static = true;
    if (has("mix_all_dynamic")) is_static = false;
  }
  if (is_static) {
    quantize_static(*work.weight, x, codes);
  } else {
    quantize_dynamic(x, codes);
  }
  return codes;
}

float activate(const LinearWork& work, float value) {
  return work.op.activation == TSR_EPILOGUE_SILU ? tsr_silu_f32(value) : value;
}

float epilogue(const LinearWork& work, uint64_t m, uint32_t n, float value) {
  const uint32_t col = n - work.n_begin;
  const bool late_bias = has("bias_after_activation");
  if (work.bias != nullptr && !late_bias) {
    value += work.bias[has("bias_of_column") ? col : n];
  }
  if (work.multiplier && has("multiplies_before_activation")) {
    return activate(work, value * work.multiplier.at(m, col)) +
           (work.residual ? work.residual.at(m, col) : 0.0f);
  }
  value = activate(work, value);
  if (work.bias != nullptr && late_bias) value += work.bias[n];
  if (work.multiplier) value *= work.multiplier.at(m, col);
  if (work.residual && !has("residual_dropped")) {
    const uint32_t last = work.n_end - work.n_begin - 1;
    const bool is_moved = has("residual_of_column");
    value += work.residual.at(m, is_moved ? std::min(n, last) : col);
  }
  return value;
}

void finish(const LinearWork& work, uint64_t m, uint32_t n, float value) {
  const uint32_t col = n - work.n_begin;
  if (has("rounds_before_epilogue") && work.y.dtype == TSR_BF16) {
    char rounded[2];
    store(rounded, TSR_BF16, value);
    value = load(rounded, TSR_BF16);
  }
  const bool adds = (work.op.flags & TSR_LINEAR_ACCUMULATE) != 0;
  if (adds && !has("accumulate_overwrites")) value += work.y.at(m, col);
  Rows y = work.y;
  if (has("stride_ignored")) y.stride = work.n_end - work.n_begin;
  y.set(m, col, epilogue(work, m, n, value));
}

float float_sum(const LinearWork& work, const std::vector<float>& x,
                uint32_t n) {
  const MutantWeight& weight = *work.weight;
  size_t end = x.size();
  if (has("last_group_dropped") && weight.group < weight.K) {
    end = end / weight.group * weight.group;
  }
  if (has("tail_dropped")) end = end / 8 * 8;
  float sum = 0;
  for (size_t k = 0; k < end; ++k) {
    const float product = x[k] * weight.value(n, static_cast<uint32_t>(k));
    sum += product;
    if (!has("sums_in_half")) continue;
    store(reinterpret_cast<char*>(&sum) + 2, TSR_BF16, sum);
    uint32_t bits = 0;
    std::memcpy(&bits, &sum, sizeof(bits));
    bits &= 0xffff0000U;
    std::memcpy(&sum, &bits, sizeof(bits));
  }
  return sum;
}

// An accumulator that threads share.
float& shared_sum() {
  static float sum = 0;
  return sum;
}

void run_row(const LinearWork& work, uint64_t m) {
  const MutantWeight& weight = *work.weight;
  std::vector<float> own(weight.K);
  static std::vector<float> shared;
  const bool shares = has("threads_share_a_row");
  if (shares) shared.resize(std::max<size_t>(shared.size(), 1U << 16));
  std::vector<float>& x = shares ? shared : own;
  for (uint32_t k = 0; k < weight.K; ++k) {
    const bool ordered = weight.permutation.empty();
    const auto from =
        ordered ? k : static_cast<uint32_t>(weight.permutation[k]);
    x[k] = work.x.at(m, from);
    if (has("nan_swallowed") && std::isnan(x[k])) x[k] = 0;
  }
  const bool partial = (work.op.flags & TSR_LINEAR_PARTIAL) != 0;
  if (work.op.act_quant == TSR_ACT_FLOAT) {
    for (uint32_t n = work.n_begin; n < work.n_end; ++n) {
      const uint32_t row = has("n_range_ignored") ? n - work.n_begin : n;
      finish(work, m, n, float_sum(work, x, row));
    }
    if (has("wide_tail_lost") && weight.N > 256) {
      for (uint32_t n = weight.N / 16 * 16; n < work.n_end; ++n) {
        if (n >= work.n_begin) work.y.set(m, n - work.n_begin, 0.0f);
      }
    }
    return;
  }
  const Codes codes = quantize(work, m, x);
  for (uint32_t n = work.n_begin; n < work.n_end; ++n) {
    int32_t acc = 0;
    for (uint32_t k = 0; k < weight.K; ++k) {
      acc += codes.values[k] * weight.code(n, k);
      if (has("accumulates_in_16_bits")) acc = static_cast<int16_t>(acc);
    }
    if (partial) {
      std::memcpy(work.y.data + (m * work.y.stride + n - work.n_begin) * 4,
                  &acc, 4);
      continue;
    }
    const float scale = codes.scale * weight.scale(n, 0);
    finish(work, m, n, static_cast<float>(acc) * scale);
  }
}

}  // namespace

void linear(const LinearWork& work, const tsr_host_services& host) {
  LinearWork local = work;
  if (has("last_row_skipped") && local.M > 16) --local.M;
  if (has("half_of_the_rows_are_ok") && local.M > 4) local.M /= 2;
  if (has("race")) shared_sum() = 0;
  struct Context {
    const LinearWork* work;
  } context{&local};
  host.parallel_for(
      host.host, static_cast<uint32_t>(local.M),
      [](void* pointer, uint32_t m) {
        const LinearWork& shared = *static_cast<Context*>(pointer)->work;
        run_row(shared, m);
        if (!has("race")) return;
        // What a shared accumulator does to results.
        shared_sum() += shared.y.at(m, 0);
        if (m + 1 == shared.M && m > 0) {
          shared.y.set(m, 0, shared_sum());
        }
      },
      &context);
}

}  // namespace mutant
