// SPDX-License-Identifier: Apache-2.0
//
// Calls a plugin with out structs of other sizes than today's, between guard
// pages.

#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/trial/guarded_memory.hpp"
#include "framework/host/device/plugin_error.hpp"
#include "tessera/plugin.h"

namespace tessera::conformance {

inline constexpr uint32_t kJunkBytes = 64;
inline constexpr std::byte kJunk{0xdb};

// Calls `call` with a Struct of `bytes` bytes, aligned as a compiler would,
// then looks at what follows.
template <typename Struct, typename Call>
Status with_out_size(const char* name, uint32_t bytes, const Call& call) {
  const auto wrong = [](const std::string& text) {
    return Status(TSR_INTERNAL, text);
  };
  const uint64_t room = std::max<uint64_t>(bytes, sizeof(uint32_t));
  TSR_ASSIGN_OR_RETURN(
      GuardedMemory memory,
      GuardedMemory::create(room, alignof(Struct), std::string("out ") + name));
  std::fill_n(memory.data(), room, kJunk);
  std::memcpy(memory.data(), &bytes, sizeof(bytes));
  const tsr_status code = call(reinterpret_cast<Struct*>(memory.data()));
  TSR_RETURN_IF_ERROR(memory.check().annotate(name));
  uint32_t size = 0;
  std::memcpy(&size, memory.data(), sizeof(size));
  if (size > bytes) {
    return wrong(
        fmt::format("{}: struct_size {} became {}", name, bytes, size));
  }
  for (uint64_t i = sizeof(Struct); i < room; ++i) {
    if (memory.data()[i] != kJunk) {
      return wrong(fmt::format("{}: wrote byte {} of a struct it knows {} of",
                               name, i, sizeof(Struct)));
    }
  }
  if (code == TSR_OK || code == TSR_UNIMPLEMENTED) return {};
  return wrong(
      fmt::format("{} of {} bytes: {}", name, bytes, status_name(code)));
}

// One field short, exact, and longer with junk.
template <typename Struct, typename Call>
Status with_out_sizes(const char* name, uint32_t last_field, const Call& call) {
  for (const uint32_t bytes :
       {last_field, static_cast<uint32_t>(sizeof(Struct)),
        static_cast<uint32_t>(sizeof(Struct)) + kJunkBytes}) {
    TSR_RETURN_IF_ERROR(with_out_size<Struct>(name, bytes, call));
  }
  return {};
}

}  // namespace tessera::conformance
