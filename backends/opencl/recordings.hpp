// SPDX-License-Identifier: Apache-2.0
//
// The command buffers of a program: decode steps differ in what their tensors
// hold but seldom in anything that a recorded kernel has as an argument.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "backends/opencl/places.hpp"
#include "backends/opencl/runtime/command_buffer.hpp"
#include "tessera/record.hpp"

namespace tessera::opencl {

// What the arguments and sizes of a step's kernels follow from.
struct StepShape {
  cl_command_queue queue = nullptr;
  std::array<uint32_t, 5> counts{};
  std::vector<TensorPlaces::BoundPlace> places;

  StepShape() = default;
  StepShape(cl_command_queue queue, const tsr_submission& submission,
            const TensorPlaces& places);
  bool is(cl_command_queue queue, const tsr_submission& submission,
          const TensorPlaces& places) const;
};

// One thread at a time.
class Recordings {
 public:
  // What to do with a step: replay `commands`; else, if `record`, record it
  // and keep that.
  struct Choice {
    CommandBuffer* commands = nullptr;
    bool record = false;
  };
  // A shape is recorded when it comes again, or at once if `eager`.
  Choice choose(cl_command_queue queue, const tsr_submission& submission,
                const TensorPlaces& places, bool eager);
  // Keeps it for the shape of the last choice, and forgets the shape that was
  // used longest ago if there are many.
  CommandBuffer& keep(std::unique_ptr<CommandBuffer> commands);

 private:
  struct Entry {
    StepShape shape;
    std::unique_ptr<CommandBuffer> commands;  // null: seen once
    uint64_t last_use = 0;
  };

  std::vector<Entry> entries_;
  size_t chosen_ = 0;
  uint64_t clock_ = 0;
};

}  // namespace tessera::opencl
