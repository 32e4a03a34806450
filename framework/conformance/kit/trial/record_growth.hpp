// SPDX-License-Identifier: Apache-2.0
//
// Programs and submissions as another version of the ABI would write them.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace tessera::conformance {

// How a record differs from one of this version.  All junk is 0xdb.
struct RecordGrowth {
  bool shortened = false;  // the head ends before its last field, which is junk
  uint32_t head = 0;       // bytes of fields that a later version put there
  uint32_t elements = 0;   // the same behind each tensor or binding
  uint32_t ops = 0;        // and behind each op's own fields
  // An extension that nobody knows: of the record, or of its first op.
  bool extension = false;
  bool op_extension = false;
  uint32_t extension_flags = 0;  // TSR_MUST_UNDERSTAND
};

// Requires  `record` is one that the host's builders made
std::vector<std::byte> grown_program(std::span<const std::byte> record,
                                     const RecordGrowth& growth);
std::vector<std::byte> grown_submission(std::span<const std::byte> record,
                                        const RecordGrowth& growth);

using RecordEdit =
    std::function<std::vector<std::byte>(std::span<const std::byte>)>;

}  // namespace tessera::conformance
