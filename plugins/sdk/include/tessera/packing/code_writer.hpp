// SPDX-License-Identifier: Apache-2.0
//
// tessera/packing/code_writer.hpp - puts codes where the packed form has them.

#pragma once

#include <cstdint>
#include <cstring>

#include "tessera/packing/weight_shape.hpp"

namespace tessera::sdk::packing {

class CodeWriter {
 public:
  // Both must outlive the writer.
  CodeWriter(const WeightShape& shape, char* packed)
      : shape_(shape),
        chunk_shift_(log2_of(shape.chunk_values)),
        packed_(packed) {}

  // Puts the lowest bits of `bits` where the code of row n lies in `column` of
  // the packed form.
  void put(uint32_t n, uint64_t column, uint32_t bits) const {
    const auto within =
        static_cast<uint32_t>(column & (shape_.chunk_values - 1));
    const uint32_t rows = shape_.layout.rows;
    const uint64_t chunk = (column >> chunk_shift_) * rows + n % rows;
    char* place = packed_ + n / rows * shape_.tile_bytes +
                  (chunk << chunk_shift_) * shape_.code_bits() / 8;
    switch (shape_.code) {
      case Code::kF32:
        std::memcpy(place + uint64_t{within} * 4, &bits, 4);
        break;
      case Code::kF16:
      case Code::kBf16:
        std::memcpy(place + uint64_t{within} * 2, &bits, 2);
        break;
      case Code::kU4:
      case Code::kE2m1:
      case Code::kBook:
        put_nibble(place, within, bits);
        break;
      default:
        place[within] = static_cast<char>(bits);
        break;
    }
  }

 private:
  static uint32_t log2_of(uint32_t power) {
    uint32_t shift = 0;
    while (power >> shift > 1) ++shift;
    return shift;
  }

  void put_nibble(char* chunk, uint32_t within, uint32_t bits) const {
    const uint32_t step = shape_.layout.nibble_step;
    const uint32_t in_pairs = within & (2 * step - 1);
    char& pair = chunk[(within - in_pairs) / 2 + (in_pairs & (step - 1))];
    const uint32_t shift = in_pairs < step ? 0 : 4;
    const uint32_t other = static_cast<unsigned char>(pair) & (0xf0U >> shift);
    pair = static_cast<char>(other | (bits & 15U) << shift);
  }

  const WeightShape& shape_;
  uint32_t chunk_shift_;  // chunk_values is a power of two, and so is a step
  char* packed_;
};

}  // namespace tessera::sdk::packing
