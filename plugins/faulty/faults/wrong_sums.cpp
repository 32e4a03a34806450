// SPDX-License-Identifier: Apache-2.0
//
// Adds, but the last element of every output is wrong.

#include <cstring>

#include "queue.hpp"
#include "sound.hpp"

namespace {

class FaultyQueue : public my::TemplateQueue {
 public:
  explicit FaultyQueue(my::TemplateDevice& device)
      : TemplateQueue(device), device_(device) {}

 protected:
  void run(const tessera::sdk::SubmissionView& submission) override {
    TemplateQueue::run(submission);
    const auto bindings = submission.bindings();
    if (bindings.size() == 0) return;
    const auto buffer = device_.buffer(bindings[bindings.size() - 1].buffer);
    auto* last = buffer->at(buffer->bytes() - sizeof(float), sizeof(float));
    float value = 0;
    std::memcpy(&value, last, sizeof(value));
    value += 1;
    std::memcpy(last, &value, sizeof(value));
  }

 private:
  my::TemplateDevice& device_;
};

class Backend : public faulty::BackendWith<FaultyQueue> {};

}  // namespace

TSR_DEFINE_PLUGIN(Backend)
