// SPDX-License-Identifier: Apache-2.0
//
// rANS for the nibbles of a sparse tile: an entropy code within a few
// thousandths of a bit of the optimum whose decoder is a table and a product.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::format {

inline constexpr uint32_t kRansSymbols = 16;
inline constexpr uint32_t kRansBits = 11;
inline constexpr uint32_t kRansTotal = 1U << kRansBits;
inline constexpr uint32_t kRansLanes = 4;  // states that take turns

// How often each symbol occurs, of kRansTotal.
using RansFrequencies = std::array<uint16_t, kRansSymbols>;

struct RansStream {
  RansFrequencies frequencies{};
  std::array<uint32_t, kRansLanes> states{};  // where the decoder starts
  std::vector<uint16_t> words;                // in the order it reads them
};

// Frequencies in proportion to `counts`: at least 1 for a symbol that occurs, 0
// for others, kRansTotal together.
//
// Requires  a count that is not 0
RansFrequencies normalize_frequencies(
    const std::array<uint32_t, kRansSymbols>& counts);

// Symbol i belongs to state i % kRansLanes.
//
// Requires  symbols below kRansSymbols, at least one
// Source    Duda, arXiv:1311.2540, section 2.3 (range variant); renormalized by
//           words of 16 bits
RansStream encode_rans(std::span<const uint8_t> symbols);

// Writes out_symbols.size() symbols.
//
// Errors  INVALID_ARGUMENT if the frequencies are not kRansTotal together, or
//         the stream does not end where its words end, in the states that
//         encoding begins with
Status decode_rans(const RansFrequencies& frequencies,
                   std::array<uint32_t, kRansLanes> states,
                   std::span<const std::byte> words,
                   std::span<uint8_t> out_symbols);

}  // namespace tessera::format
