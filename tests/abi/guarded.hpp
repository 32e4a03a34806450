// SPDX-License-Identifier: Apache-2.0
//
// Structs as a host of another age would pass them: shorter, exact, or longer
// with an unknown tail, always with guard bytes behind.

#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tessera/types.h"

namespace tessera::abi_test {

// How much of a struct its owner knows.
struct Age {
  const char* name;
  int32_t extra;    // bytes past what this version knows
  bool last_field;  // whether the last field is known
};

inline constexpr Age kAges[] = {
    {"OneFieldLess", 0, false},
    {"Exact", 0, true},
    {"JunkTail", 64, true},
};

// A Struct whose owner says it has `known_bytes`; what comes after is junk that
// the other side must neither read nor write.
template <typename Struct>
class Guarded {
 public:
  static constexpr unsigned char kJunk = 0xA5;
  static constexpr size_t kRoom = 256;

  // `last` is the offset of the last field of this version.
  Guarded(const Age& age, size_t last) : bytes_(sizeof(Struct) + kRoom, kJunk) {
    known_bytes_ =
        age.last_field ? sizeof(Struct) + static_cast<size_t>(age.extra) : last;
    std::memset(bytes_.data(), 0,
                known_bytes_ < sizeof(Struct) ? known_bytes_ : sizeof(Struct));
    get()->struct_size = static_cast<uint32_t>(known_bytes_);
  }

  Struct* get() { return reinterpret_cast<Struct*>(bytes_.data()); }
  Struct* operator->() { return get(); }
  uint32_t known_bytes() const { return static_cast<uint32_t>(known_bytes_); }

  // Fills what the owner knows from `value` and keeps the junk.
  void assign(Struct value) {
    value.struct_size = static_cast<uint32_t>(known_bytes_);
    std::memcpy(bytes_.data(), &value,
                known_bytes_ < sizeof(Struct) ? known_bytes_ : sizeof(Struct));
  }

  // That nothing was written past what the owner knows, nor struct_size itself.
  void expect_intact(const char* what) {
    EXPECT_EQ(get()->struct_size, known_bytes_) << what;
    const size_t first =
        known_bytes_ < sizeof(Struct) ? known_bytes_ : sizeof(Struct);
    for (size_t i = first; i < bytes_.size(); ++i) {
      ASSERT_EQ(bytes_[i], kJunk)
          << what << ": byte " << i << " of " << known_bytes_ << " was written";
    }
  }

 private:
  // Aligned as operator new aligns, which is enough for every struct.
  std::vector<unsigned char> bytes_;
  size_t known_bytes_;
};

}  // namespace tessera::abi_test
