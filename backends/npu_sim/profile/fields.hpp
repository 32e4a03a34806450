// SPDX-License-Identifier: Apache-2.0
//
// The table of parameters: key, unit, sane range and place in a Profile.

#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

using Place = std::variant<double*, int64_t*, bool*, Energy::Range*>;

struct Field {
  std::string_view key;
  std::string_view unit;
  double min;
  double max;
  Place (*place)(Profile& profile);
};

std::span<const Field> profile_fields();

}  // namespace tessera::npu
