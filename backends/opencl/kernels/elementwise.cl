// SPDX-License-Identifier: Apache-2.0
//
// What add, silu_mul and gelu compute.

#define MAP_ADD 0
#define MAP_SILU_MUL 1
#define MAP_GELU_ERF 2
#define MAP_GELU_TANH 3

static float16 map_values(int kind, float16 v, float16 other) {
  if (kind == MAP_ADD) return v + other;
  if (kind == MAP_SILU_MUL) return portable_silu(v) * other;
  if (kind == MAP_GELU_ERF) return portable_gelu_erf(v);
  return portable_gelu_tanh(v);
}
