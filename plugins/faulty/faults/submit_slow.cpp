// SPDX-License-Identifier: Apache-2.0
//
// Needs 200 ms more for every submission than it should.

#include <chrono>
#include <thread>

#include "queue.hpp"
#include "sound.hpp"

namespace {

class FaultyQueue : public my::TemplateQueue {
 public:
  using TemplateQueue::TemplateQueue;

 protected:
  void run(const tessera::sdk::SubmissionView& submission) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    TemplateQueue::run(submission);
  }
};

class Backend : public faulty::BackendWith<FaultyQueue> {};

}  // namespace

TSR_DEFINE_PLUGIN(Backend)
