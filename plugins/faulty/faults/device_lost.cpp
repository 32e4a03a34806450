// SPDX-License-Identifier: Apache-2.0
//
// Its device is lost with the first submission.

#include "queue.hpp"
#include "sound.hpp"

namespace {

class FaultyQueue : public my::TemplateQueue {
 public:
  using TemplateQueue::TemplateQueue;
  void submit(const tessera::sdk::SubmissionView&) override {
    tessera::sdk::Error error(TSR_INTERNAL, "the device fell off the bus");
    error.retry(TSR_DEVICE_LOST, -19);
    throw error;
  }
};

class Backend : public faulty::BackendWith<FaultyQueue> {};

}  // namespace

TSR_DEFINE_PLUGIN(Backend)
