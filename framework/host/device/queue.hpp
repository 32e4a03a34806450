// SPDX-License-Identifier: Apache-2.0
//
// Where work is submitted to a device.

#pragma once

#include <memory>

#include "framework/base/status.hpp"
#include "tessera/plugin.h"

namespace tessera {

class Device;

// Runs in order.  One thread at a time.  Moves only; destroyed before its
// device.
class Queue {
 public:
  Queue() = default;
  Queue(std::shared_ptr<Device> device, tsr_queue* handle);
  Queue(Queue&& other) noexcept;
  Queue& operator=(Queue&& other) noexcept;
  ~Queue();

  // Hands over `submission`, which is the head of a record.  Allocates nothing
  // unless it fails.  A failure of the work itself goes to the signal points.
  Status submit(const tsr_submission& submission);

 private:
  std::shared_ptr<Device> device_;
  tsr_queue* handle_ = nullptr;
};

}  // namespace tessera
