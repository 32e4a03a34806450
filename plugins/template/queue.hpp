// SPDX-License-Identifier: Apache-2.0
//
// Where work is submitted.  The base class waits for and signals timelines.

#pragma once

#include "tessera/host_memory.hpp"

namespace my {

class TemplateDevice;

class TemplateQueue : public tessera::sdk::BlockingQueue {
 public:
  explicit TemplateQueue(TemplateDevice& device);

 protected:
  void run(const tessera::sdk::SubmissionView& submission) override;

 private:
  TemplateDevice& device_;
};

}  // namespace my
