// SPDX-License-Identifier: Apache-2.0
//
// Ends the process with its first submission.

#include <cstdlib>

#include "queue.hpp"
#include "sound.hpp"

namespace {

class FaultyQueue : public my::TemplateQueue {
 public:
  using TemplateQueue::TemplateQueue;
  void submit(const tessera::sdk::SubmissionView&) override { std::abort(); }
};

class Backend : public faulty::BackendWith<FaultyQueue> {};

}  // namespace

TSR_DEFINE_PLUGIN(Backend)
