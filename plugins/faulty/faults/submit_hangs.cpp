// SPDX-License-Identifier: Apache-2.0
//
// Takes every submission and never signals.

#include "queue.hpp"
#include "sound.hpp"

namespace {

class FaultyQueue : public my::TemplateQueue {
 public:
  using TemplateQueue::TemplateQueue;
  void submit(const tessera::sdk::SubmissionView&) override {}
};

class Backend : public faulty::BackendWith<FaultyQueue> {};

}  // namespace

TSR_DEFINE_PLUGIN(Backend)
