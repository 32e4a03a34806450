// SPDX-License-Identifier: Apache-2.0
//
// The rotation of a head; each product and sum is rounded.

#define ROPE_NONE 0
#define ROPE_HALF 1

struct RotateArgs {
  uint64_t positions;
  uint64_t table;
  int style;
  int rotary_dim;
  int max_positions;
  int head_dim;
};

// The address of a token's angles; 0, and a fault, if its position is outside
// the table.
uint64_t angles_of(RotateArgs rotate, int token, uint64_t fault) {
  const int position = I32s(rotate.positions).v[token];
  if (position < 0 || position >= rotate.max_positions) {
    if (gl_LocalInvocationIndex == 0u) {
      report_fault(fault, FAULT_POSITION, position);
    }
    return 0ul;
  }
  return rotate.table + uint64_t(position) * uint64_t(rotate.rotary_dim) * 4ul;
}

// Element i of a head that starts at `element`.
float rotated(RowPlace head, int64_t element, int i, RotateArgs rotate,
              uint64_t angles) {
  const float x = load_one(head.address, head.dtype, element + i);
  if (rotate.style == ROPE_NONE || i >= rotate.rotary_dim) return x;
  const int half_dim = rotate.rotary_dim / 2;
  const bool is_half = rotate.style == ROPE_HALF;
  const int pair = is_half ? i % half_dim : i / 2;
  const bool is_first = is_half ? i < half_dim : i % 2 == 0;
  const int step = is_half ? half_dim : 1;
  const float other = load_one(head.address, head.dtype,
                               element + (is_first ? i + step : i - step));
  precise const float a = x * F32s(angles).v[pair];
  precise const float b = other * F32s(angles).v[half_dim + pair];
  precise const float y = is_first ? a - b : a + b;
  return y;
}
