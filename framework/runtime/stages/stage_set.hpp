// SPDX-License-Identifier: Apache-2.0
//
// The stages of one plan, and a step through all of them.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/runtime/stage.hpp"
#include "framework/runtime/stages/divide_linears.hpp"

namespace tessera {

using DeviceMap = std::unordered_map<std::string, std::shared_ptr<Device>>;

class StageSet {
 public:
  // Loads what inputs.plan asks for, the plan of its decode steps aside.
  // `inputs` may go; its graph, if the plan divides nothing, and its source are
  // kept.
  //
  // Errors  NOT_FOUND for a device that `devices` lacks; those of
  //         divide_linears() and of the devices
  static Result<std::unique_ptr<StageSet>> create(const StageInputs& inputs,
                                                  const DeviceMap& devices);

  // Runs one step.  Its arrays lie in the arena of the first stage.  Stages of
  // one group run at the same time.
  //
  // Sets `out_failed` to the device that ended it.  Adds to `device_ns` what
  // was spent inside submit and wait, and to `out_group_ns`, if that is given,
  // what each group of stages took from the end of the one before, copies
  // included.
  Status run(const StepSize& size, uint64_t& device_ns, std::string& out_failed,
             std::vector<double>* out_group_ns = nullptr) const;

  Stage& first() const { return *stages_.front(); }
  const std::vector<std::unique_ptr<Stage>>& stages() const { return stages_; }
  // Where the last stage puts them; null if it makes none.
  const float* logits() const { return logits_; }

 private:
  StageSet() = default;
  Status run_group(size_t begin, size_t end, const StepSize& size,
                   std::string& out_failed) const;
  void pass_on(const Stage& from, size_t to, const StepSize& size) const;

  std::optional<DividedGraph> divided_;  // what the stages were made from
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<uint32_t> groups_;  // by stage
  const float* logits_ = nullptr;
};

}  // namespace tessera
