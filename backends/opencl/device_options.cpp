// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/device_options.hpp"

#include <string>
#include <utility>
#include <vector>

#include "backends/opencl/runtime/command_buffer.hpp"

namespace tessera::opencl {
namespace {

template <typename Value>
using Words = std::vector<std::pair<const char*, Value>>;

// Sets `result` to what `value` stands for; "auto" leaves it.
template <typename Value>
void parse(const std::pair<std::string, std::string>& option,
           const Words<Value>& words, Value& result) {
  if (option.second == "auto") return;
  std::string right = "auto";
  for (const auto& [word, value] : words) {
    if (option.second == word) {
      result = value;
      return;
    }
    right += std::string(&words.back().first == &word ? " or " : ", ") + word;
  }
  throw sdk::Error(TSR_INVALID_ARGUMENT, "opencl: option " + option.first +
                                             "=" + option.second + " is not " +
                                             right);
}

DeviceOptions best_options(const DeviceFacts& facts) {
  DeviceOptions best;
  best.form = facts.is_cpu ? Form::kBlock : Form::kTile;
  best.sharing = Sharing::kCopied;
  if (facts.has_unified_memory) best.sharing = Sharing::kMapped;
  if (facts.has_unified_memory && facts.has_fine_svm) {
    best.sharing = Sharing::kSvm;
  }
  if (facts.is_cpu) best.sharing = Sharing::kShared;
  best.recording = CommandBufferApi(facts).is_offered() ? Recording::kAgain
                                                        : Recording::kNever;
  // A step on the host's own cores leaves nothing to be done beside it.
  best.is_async = !facts.is_cpu;
  best.features = best_features(facts);
  return best;
}

void check_offered(const DeviceFacts& facts, const DeviceOptions& options) {
  if (options.sharing == Sharing::kSvm && !facts.has_fine_svm) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "opencl: option memory=svm needs fine-grained shared "
                     "virtual memory, which " +
                         facts.name + " does not have");
  }
  if (options.recording != Recording::kNever &&
      !CommandBufferApi(facts).is_offered()) {
    throw sdk::Error(
        TSR_INVALID_ARGUMENT,
        "opencl: option record needs cl_khr_command_buffer, which " +
            facts.name + " does not have");
  }
}

}  // namespace

tsr_array option_table() {
  static const std::vector<tsr_option> options = [] {
    std::vector<tsr_option> all = {
        {sizeof(tsr_option), TSR_OPTION_TEXT, "form", "auto",
         "how work is cut: block (a work-item per block, for CPUs), tile (a "
         "work-group per tile, for GPUs), auto"},
        {sizeof(tsr_option), TSR_OPTION_TEXT, "memory", "auto",
         "how the host sees buffers: shared (the device works in host memory), "
         "svm, mapped (handed over by map and unmap), copied, auto"},
        {sizeof(tsr_option), TSR_OPTION_TEXT, "record", "auto",
         "when a step becomes a command buffer: never, again (when one like it "
         "comes again), always, auto"},
        {sizeof(tsr_option), TSR_OPTION_TEXT, "submit", "auto",
         "when a submission returns: enqueued, done, auto"},
    };
    const auto& features = feature_options();
    all.insert(all.end(), features.begin(), features.end());
    return all;
  }();
  return {options.data(), static_cast<uint32_t>(options.size()),
          sizeof(tsr_option)};
}

DeviceOptions read_options(const DeviceFacts& facts,
                           const sdk::Options& options) {
  DeviceOptions result = best_options(facts);
  for (const auto& option : options) {
    if (option.first == "form") {
      parse(option, {{"block", Form::kBlock}, {"tile", Form::kTile}},
            result.form);
    } else if (option.first == "memory") {
      parse(option,
            {{"shared", Sharing::kShared},
             {"svm", Sharing::kSvm},
             {"mapped", Sharing::kMapped},
             {"copied", Sharing::kCopied}},
            result.sharing);
    } else if (option.first == "record") {
      parse(option,
            {{"never", Recording::kNever},
             {"again", Recording::kAgain},
             {"always", Recording::kAtOnce}},
            result.recording);
    } else if (option.first == "submit") {
      parse(option, {{"enqueued", true}, {"done", false}}, result.is_async);
    } else if (!set_feature(facts, option, result.features)) {
      throw sdk::Error(TSR_INVALID_ARGUMENT,
                       "opencl: no option " + option.first +
                           "; there are form, memory, record, submit, half, "
                           "dot, subgroups and width");
    }
  }
  check_offered(facts, result);
  return result;
}

}  // namespace tessera::opencl
