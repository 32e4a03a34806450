// SPDX-License-Identifier: Apache-2.0
//
// Every submission fails; the signal points carry INTERNAL.

#include "queue.hpp"
#include "sound.hpp"

namespace {

class FaultyQueue : public my::TemplateQueue {
 public:
  using TemplateQueue::TemplateQueue;

 protected:
  void run(const tessera::sdk::SubmissionView&) override {
    throw tessera::sdk::Error(TSR_INTERNAL, "the kernel failed");
  }
};

class Backend : public faulty::BackendWith<FaultyQueue> {};

}  // namespace

TSR_DEFINE_PLUGIN(Backend)
