// SPDX-License-Identifier: Apache-2.0
//
// One case of the kit, and what it works on.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/running/verdict.hpp"
#include "framework/conformance/kit/trial/guarded_memory.hpp"
#include "framework/conformance/kit/trial/op_run.hpp"
#include "framework/host/device/device.hpp"

namespace tessera::conformance {

// What a case works on: the library that its process has loaded.
class CaseContext {
 public:
  using Options = std::vector<std::pair<std::string, std::string>>;

  // `options` are those that the device is opened with.
  CaseContext(std::shared_ptr<Plugin> plugin, uint32_t device_index,
              Options options, std::shared_ptr<GuardedAllocator> allocator)
      : plugin_(std::move(plugin)),
        device_index_(device_index),
        options_(std::move(options)),
        allocator_(std::move(allocator)) {}

  const std::shared_ptr<Plugin>& plugin() const { return plugin_; }
  uint32_t device_index() const { return device_index_; }
  GuardedAllocator& allocator() const { return *allocator_; }

  // The device that the case asks for again and again; opened once.
  Result<std::shared_ptr<Device>> device();
  // One of the case's own.
  Result<std::shared_ptr<Device>> open_device() const;
  // Says what the running case measured.
  void add_figure(const std::string& name, double value) {
    figures_.push_back({name, value});
  }
  std::vector<Figure> take_figures() { return std::exchange(figures_, {}); }
  // Closes it; who asks for it later opens it again.
  void drop_device() { device_.reset(); }

 private:
  std::shared_ptr<Plugin> plugin_;
  uint32_t device_index_;
  Options options_;
  std::shared_ptr<GuardedAllocator> allocator_;
  std::shared_ptr<Device> device_;
  std::vector<Figure> figures_;
};

// UNAVAILABLE: the plugin claims nothing of the kind.  DEADLINE_EXCEEDED: it
// hangs.  Any other failure: the plugin is at fault, and the message says how.
using CaseBody = std::function<Status(CaseContext&)>;

struct Case {
  std::string id;  // "L1/linear_q_i8/M5_N17_K96"; equal on every run
  CaseBody run;
  double limit_seconds = 10.0;  // then it hangs
  // What it stands for: the op of an L1 case, else the second part of its id.
  std::string kind;
  // What an L1 case inside the claim runs, and what it needs besides tensors:
  // "row_op" nothing, "kv" a pool, "weight".  Null for the others.
  std::function<Result<OpTrial>()> trial;
  const char* trial_kind = nullptr;
};

// What decides which cases there are.
struct CaseOptions {
  bool quick = false;
  uint32_t seed = 42;
  // Whether the device scales accumulators as a fixed pipe does
  // (host/device/numerics.hpp).
  bool has_fixed_pipe = false;
};

}  // namespace tessera::conformance
