// SPDX-License-Identifier: Apache-2.0
//
// The rotation, in double and in f32.  Compiled without FMA contraction.

#include "framework/conformance/reference/attention/rope.hpp"

#include <string>

namespace tessera::reference {
namespace {

Status check(const Rope& p) {
  if (p.style == TSR_ROPE_NONE) return {};
  if (p.style > TSR_ROPE_INTERLEAVED) {
    return Status(TSR_INVALID_ARGUMENT,
                  "rope: style " + std::to_string(p.style) + " is unknown");
  }
  if (p.rotary_dim % 2 != 0 || p.rotary_dim > p.head_dim) {
    return Status(TSR_INVALID_ARGUMENT,
                  "rope: rotary_dim=" + std::to_string(p.rotary_dim) +
                      " of head_dim=" + std::to_string(p.head_dim));
  }
  for (uint32_t t = 0; t < p.num_tokens; ++t) {
    if (p.positions[t] < 0 ||
        static_cast<uint32_t>(p.positions[t]) >= p.max_positions) {
      return Status(TSR_INVALID_ARGUMENT,
                    "rope: position " + std::to_string(p.positions[t]) +
                        " of token " + std::to_string(t) + ", table has " +
                        std::to_string(p.max_positions));
    }
  }
  return {};
}

// Rotates one head.  Real is the type that each product and sum is rounded to.
template <typename Real, typename Out>
void rotate_head(const Rope& p, const float* angles, const float* x, Out* y) {
  for (uint32_t i = 0; i < p.head_dim; ++i) y[i] = static_cast<Out>(x[i]);
  if (p.style == TSR_ROPE_NONE) return;

  const uint32_t half = p.rotary_dim / 2;
  for (uint32_t i = 0; i < half; ++i) {
    const bool adjacent = p.style == TSR_ROPE_INTERLEAVED;
    const uint32_t first = adjacent ? 2 * i : i;
    const uint32_t second = adjacent ? 2 * i + 1 : i + half;
    const Real x0 = x[first];
    const Real x1 = x[second];
    const Real cosine = angles[i];
    const Real sine = angles[half + i];
    // Locals, because x and y may be the same memory.
    const Real y0 = x0 * cosine - x1 * sine;
    const Real y1 = x1 * cosine + x0 * sine;
    y[first] = static_cast<Out>(y0);
    y[second] = static_cast<Out>(y1);
  }
}

template <typename Real, typename Out>
Status rotate(const Rope& p, Out* y) {
  TSR_RETURN_IF_ERROR(check(p));
  for (uint32_t t = 0; t < p.num_tokens; ++t) {
    const float* angles =
        p.style == TSR_ROPE_NONE
            ? nullptr
            : p.table + static_cast<size_t>(p.positions[t]) * p.rotary_dim;
    for (uint32_t h = 0; h < p.num_heads; ++h) {
      const size_t head = (size_t{t} * p.num_heads + h) * p.head_dim;
      rotate_head<Real>(p, angles, p.x + head, y + head);
    }
  }
  return {};
}

}  // namespace

template <typename Out>
Status rope(const Rope& p, Out* y) {
  return rotate<double>(p, y);
}

Status rope_f32(const Rope& p, float* y) { return rotate<float>(p, y); }

template Status rope(const Rope&, float*);
template Status rope(const Rope&, double*);

}  // namespace tessera::reference
