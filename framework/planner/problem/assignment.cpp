// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/problem/assignment.hpp"

namespace tessera::planner {

Assignment to_assignment(const Problem& problem, const BuiltChain& built,
                         const Choice& choice) {
  Assignment assignment;
  assignment.segments.resize(problem.segments.size());
  for (uint32_t g = 0; g < problem.segments.size(); ++g) {
    assignment.segments[g].linears.resize(problem.segments[g].linears.size());
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      assignment.segments[g].devices[phase] = choice.sites[phase][g];
    }
  }
  for (uint32_t i = 0; i < built.chain.items.size(); ++i) {
    Assignment::Segment& segment =
        assignment.segments[built.segment_of_item[i]];
    const uint32_t linear = built.linear_of_item[i];
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      const uint32_t index = built.option_index[choice.options[phase][i]];
      (linear == kNone ? segment.sites[phase]
                       : segment.linears[linear].cells[phase]) = index;
    }
  }
  return assignment;
}

Result<Choice> to_choice(const Problem& problem, const BuiltChain& built,
                         const Assignment& assignment) {
  Choice choice;
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    for (const Assignment::Segment& segment : assignment.segments) {
      choice.sites[phase].push_back(segment.devices[phase]);
    }
    for (uint32_t i = 0; i < built.chain.items.size(); ++i) {
      const uint32_t g = built.segment_of_item[i];
      const Assignment::Segment& segment = assignment.segments[g];
      const uint32_t linear = built.linear_of_item[i];
      const uint32_t wanted = linear == kNone
                                  ? segment.sites[phase]
                                  : segment.linears[linear].cells[phase];
      const Item& item = built.chain.items[i];
      uint32_t o = item.option_begin[phase];
      while (o < item.option_end[phase] &&
             (built.option_index[o] != wanted ||
              built.chain.options[o].site != segment.devices[phase])) {
        ++o;
      }
      if (o == item.option_end[phase]) {
        return Status(
            TSR_NOT_FOUND,
            (linear == kNone ? problem.segments[g].name
                             : problem.segments[g].linears[linear].name) +
                ": what the plan asks of it is not on offer");
      }
      choice.options[phase].push_back(o);
    }
  }
  return choice;
}

}  // namespace tessera::planner
