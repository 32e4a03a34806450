// SPDX-License-Identifier: Apache-2.0
//
// The escapes of CODE_BOOK, as tessera/packing/weight_shape.hpp lays them out: a
// book says 0 where one stands, and kernels add its products afterwards.
// Before this file: uint escape_at(int), what entry `at` holds.

// Those of a row's part of a group that are left.
struct Escapes {
  int next;
  int end;
  int column;  // of the last one taken; before that, the group's first
};

Escapes escapes_of(int tile, int g, int row) {
  I32s starts = I32s(
      args.starts + uint64_t((tile * args.num_groups + g) * 64 + row) * 4ul);
  return Escapes(starts.v[0], starts.v[1],
                 g * args.group_chunks * int(CHUNK_VALUES));
}

// The code of the next one, at `column`; 0 if none is left.
int take_escape(inout Escapes escapes) {
  const bool is_left = escapes.next < escapes.end;
  const uint entry = escape_at(escapes.next);
  escapes.column += is_left ? int(entry & 255u) : 0;
  escapes.next += is_left ? 1 : 0;
  return is_left ? bitfieldExtract(int(entry), 8, 8) : 0;
}
