// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/fit_scheme.hpp"

#include <algorithm>

namespace tessera {
namespace {

template <typename Accepts>
bool any_row(const Device& device, const Accepts& accepts) {
  const auto& rows = device.kernels();
  return std::any_of(rows.begin(), rows.end(), accepts);
}

bool has_bit(uint32_t mask, uint32_t value) { return (mask >> value & 1) != 0; }

bool multiplies(const Device& device, uint32_t weight_format) {
  return any_row(device, [&](const tsr_kernel_desc& row) {
    return row.op == TSR_OP_LINEAR && row.weight_format == weight_format &&
           has_bit(row.act_quants, TSR_ACT_FLOAT);
  });
}

bool caches(const Device& device, uint32_t kv_format) {
  return any_row(device, [&](const tsr_kernel_desc& row) {
    return row.op == TSR_OP_ATTENTION && has_bit(row.kv_formats, kv_format);
  });
}

bool passes_on(const Device& device, uint32_t dtype) {
  return any_row(device, [&](const tsr_kernel_desc& row) {
    return row.op == TSR_OP_RMS_NORM && has_bit(row.x_dtypes, dtype) &&
           has_bit(row.y_dtypes, dtype);
  });
}

// `value`, or the first of the two others that the device takes.
template <typename Takes>
uint32_t choose(uint32_t value, uint32_t f16, uint32_t bf16,
                const Takes& takes) {
  for (const uint32_t candidate : {value, f16, bf16}) {
    if (takes(candidate)) return candidate;
  }
  return value;
}

}  // namespace

Scheme fit_scheme(Scheme scheme, const Device& device) {
  scheme.head_format =
      choose(scheme.head_format, TSR_WEIGHT_F16, TSR_WEIGHT_BF16,
             [&](uint32_t format) { return multiplies(device, format); });
  for (uint32_t* stored : {&scheme.stored_floats.f32, &scheme.stored_floats.f16,
                           &scheme.stored_floats.bf16}) {
    *stored =
        choose(*stored, TSR_WEIGHT_F16, TSR_WEIGHT_BF16,
               [&](uint32_t format) { return multiplies(device, format); });
  }
  scheme.act_dtype =
      choose(scheme.act_dtype, TSR_F16, TSR_BF16,
             [&](uint32_t dtype) { return passes_on(device, dtype); });
  const bool float_cache = scheme.kv_format == TSR_KV_F32 ||
                           scheme.kv_format == TSR_KV_F16 ||
                           scheme.kv_format == TSR_KV_BF16;
  if (float_cache) {
    scheme.kv_format =
        choose(scheme.kv_format, TSR_KV_F16, TSR_KV_BF16,
               [&](uint32_t format) { return caches(device, format); });
  }
  return scheme;
}

}  // namespace tessera
