// SPDX-License-Identifier: Apache-2.0
//
// Fingerprints: for telling apart, no protection against forgery.

#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace tessera {

// FNV-1a of 64 bits; the same on every machine.
class TextHash {
 public:
  void add(std::string_view bytes) {
    for (const char c : bytes) {
      value_ = (value_ ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    }
  }
  // 16 hex digits.
  std::string text() const { return fmt::format("{:016x}", value_); }

 private:
  uint64_t value_ = 0xcbf29ce484222325U;
};

}  // namespace tessera
