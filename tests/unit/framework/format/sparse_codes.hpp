// SPDX-License-Identifier: Apache-2.0
//
// s8 codes for the tests of sparse weights: what a tile may hold, and at which
// sizes it has an edge.

#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace tessera::format {

// Every edge of a tile of 256 x 128: one, odd, one below, at and above.
inline std::vector<std::pair<uint32_t, uint32_t>> sparse_shapes() {
  return {{1, 1},     {1, 2},   {2, 3},   {255, 127}, {256, 128},
          {257, 129}, {3, 300}, {600, 5}, {70, 900}};
}

struct CodeKind {
  std::string name;
  std::vector<int8_t> (*make)(size_t count, std::mt19937& rng);
};

inline std::vector<int8_t> equal_codes(size_t count, std::mt19937&) {
  return std::vector<int8_t>(count, -128);
}

// Any byte at all: most elements escape.
inline std::vector<int8_t> uniform_codes(size_t count, std::mt19937& rng) {
  std::uniform_int_distribution<int> code(-128, 127);
  std::vector<int8_t> codes(count);
  for (int8_t& c : codes) c = static_cast<int8_t>(code(rng));
  return codes;
}

// 15 levels, as a grid without protected weights has: nothing escapes.
inline std::vector<int8_t> grid_codes(size_t count, std::mt19937& rng) {
  std::normal_distribution<double> normal(0.0, 3.0);
  std::vector<int8_t> codes(count);
  for (int8_t& c : codes) {
    int level = 0;
    do {
      level = static_cast<int>(normal(rng));
    } while (level < -7 || level > 7);
    c = static_cast<int8_t>(7 * level);
  }
  return codes;
}

// The same with one weight in fifty protected.
inline std::vector<int8_t> protected_codes(size_t count, std::mt19937& rng) {
  std::vector<int8_t> codes = grid_codes(count, rng);
  std::uniform_int_distribution<int> tail(50, 128);
  for (size_t i = 0; i < count; ++i) {
    if (rng() % 50 != 0) continue;
    const int code = tail(rng);
    codes[i] =
        static_cast<int8_t>(code == 128 || rng() % 2 == 0 ? -code : code);
  }
  return codes;
}

inline std::vector<CodeKind> code_kinds() {
  return {{"equal", equal_codes},
          {"uniform", uniform_codes},
          {"grid", grid_codes},
          {"protected", protected_codes}};
}

}  // namespace tessera::format
