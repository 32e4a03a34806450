// SPDX-License-Identifier: Apache-2.0
//
// What a plugin claims, read from its kernel table exactly as the host reads
// it.

#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/trial/op_setup.hpp"
#include "tessera/plugin.h"

namespace tessera::conformance {

// What the table says of one op.
struct Answer {
  bool inside = false;
  std::string row;      // that runs it; empty outside
  uint32_t reason = 0;  // TSR_REFUSED_*, outside
  std::string message;
};

class Claim {
 public:
  // What the rows point at outlives the claim and the cases made from it.
  explicit Claim(std::vector<tsr_kernel_desc> rows) : rows_(std::move(rows)) {}

  const std::vector<tsr_kernel_desc>& rows() const { return rows_; }

  // Judges op 0 of `setup` for `M` rows in `phase`.
  // Errors: INVALID_ARGUMENT if the setup is not one (a bug of the kit's).
  Result<Answer> judge(const OpSetup& setup, uint32_t phase, uint32_t M) const;

 private:
  std::vector<tsr_kernel_desc> rows_;
};

// `value`, or the nearest that the range admits.
uint32_t fit(const tsr_range& range, uint32_t value);

// The bits of `mask` that are set and below 32, ascending.
std::vector<uint32_t> values_in(uint32_t mask);

}  // namespace tessera::conformance
