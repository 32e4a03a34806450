// SPDX-License-Identifier: Apache-2.0
//
// What a simulated chip runs: rows that follow from its profile.

#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "backends/npu_sim/profile/profile.hpp"
#include "tessera/op_facts.hpp"
#include "tessera/plugin.h"

namespace tessera::npu {

// The rows of one device with what they point at.  Move only.
struct KernelRows {
  std::deque<std::vector<tsr_plane_rule>> rules;
  std::vector<tsr_kernel_desc> rows;

  KernelRows() = default;
  KernelRows(KernelRows&&) = default;
  KernelRows& operator=(KernelRows&&) = default;

  tsr_array array() const {
    return {rows.data(), static_cast<uint32_t>(rows.size()),
            sizeof(tsr_kernel_desc)};
  }
};

KernelRows kernel_rows(const Profile& profile);

// The hardware that `facts` asks for and the chip lacks, in words; nothing if
// something else is in the way.
std::optional<std::string> missing_hardware(const Profile& profile,
                                            const sdk::OpFacts& facts);

}  // namespace tessera::npu
