// SPDX-License-Identifier: Apache-2.0
//
// Flags made when first used, and what a pipe waits for in words.

#include "backends/npu_sim/machine/core.hpp"

namespace tessera::npu {

std::string PipeState::wait_text() {
  const Instruction& one = front().instruction;
  std::string text = std::string(name_of(one.pipe)) + " waits for flag " +
                     std::to_string(one.flag) + " of " + name_of(one.peer);
  if (one.cross_core) text += " of sibling " + std::to_string(one.sibling);
  return text;
}

FlagTimes& CoreState::flag(int sibling, Pipe from, Pipe to, uint8_t flag) {
  const int index =
      ((sibling * kNumPipes + static_cast<int>(from)) * kNumPipes +
       static_cast<int>(to)) *
          kNumFlags +
      flag;
  uint16_t& place = places_.at(static_cast<size_t>(index));
  if (place == 0) {
    flags_.emplace_back();
    place = static_cast<uint16_t>(flags_.size());
  }
  return flags_[place - 1U];
}

}  // namespace tessera::npu
