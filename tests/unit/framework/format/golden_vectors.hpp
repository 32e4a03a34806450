// SPDX-License-Identifier: Apache-2.0
//
// Reads the vectors of tests/data/golden.

#pragma once

#include <cstddef>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace tessera::format {

inline std::vector<std::byte> read_golden(const std::string& name) {
  std::ifstream file(TSR_SOURCE_DIR "/tests/data/golden/" + name,
                     std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
  return {first, first + bytes.size()};
}

inline std::vector<float> read_golden_f32(const std::string& name) {
  const std::vector<std::byte> bytes = read_golden(name);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

}  // namespace tessera::format
