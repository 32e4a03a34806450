// SPDX-License-Identifier: Apache-2.0
//
// Runs an OpSetup on a device and looks at everything it may and may not have
// touched.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/trial/guarded_memory.hpp"
#include "framework/conformance/kit/trial/op_setup.hpp"
#include "framework/host/device/device.hpp"

namespace tessera::conformance {

// How long a case waits for a submission.
inline constexpr uint64_t kPatienceNs = 4'000'000'000;

// How far each output may be from what is expected; 0: the same bits, once
// rounded to the output's type.
struct Expected {
  uint32_t tensor = 0;
  uint64_t rows = 0;           // the others must stay as they were
  std::vector<double> values;  // [rows, cols]
  std::vector<double> bounds;
};

// A setup, and what must come of it.
struct OpTrial {
  OpSetup setup;
  std::vector<Expected> expected;
  // Canonical blocks of each KV pool before and after the step.
  std::vector<std::vector<std::byte>> pools;
  std::vector<std::vector<std::byte>> pools_after;
  bool exact_pools = true;
};

enum class Memory {
  kGuarded,  // imported, between guard pages, where the device can
  kCreated   // the device's own, with a margin before and behind
};

// A program with its objects on a device.
class OpRun {
 public:
  // Errors: what the device refuses or fails at.
  static Result<std::unique_ptr<OpRun>> prepare(
      const std::shared_ptr<Device>& device, const OpSetup& setup,
      Memory memory);

  // Fills a pool's canonical blocks, or reads them.
  Status write_pool(uint32_t pool, std::span<const std::byte> blocks);
  Result<std::vector<std::byte>> read_pool(uint32_t pool);

  // Writes all contents, runs one step, reads them back.
  // Errors: DEADLINE_EXCEEDED if the step does not end.
  Status step();
  // Everything around the tensors, and inputs, gaps and rows that the step does
  // not have, is as it was.
  Status check_untouched(std::span<const Expected> expected) const;
  Status check_values(const Expected& expected) const;

  // What a tensor's memory held after the step.
  std::span<const std::byte> result(uint32_t tensor) const {
    return results_[tensor];
  }
  const OpSetup& setup() const { return setup_; }
  // Changes a number of the step.
  tsr_submission& numbers() { return numbers_; }
  uint64_t program_id() const { return program_.id(); }
  // What the program was made from; its id is 0.
  const std::vector<std::byte>& record() const { return record_; }
  uint64_t buffer_id(uint32_t tensor) const { return buffers_[tensor].id(); }
  // The submission of step(), for those who send it themselves.
  SubmissionBuilder submission(uint64_t timeline, uint64_t value) const;
  Status upload();
  Status download();

 private:
  OpRun(std::shared_ptr<Device> device, const OpSetup& setup, Memory memory)
      : device_(std::move(device)), setup_(setup), memory_(memory) {}
  Status load_objects();
  Status place(uint32_t tensor);
  Status run_blocks(uint32_t kind, uint32_t pool, Buffer& buffer);
  Status submit_and_wait(const tsr_submission& submission, Timeline& timeline);

  std::shared_ptr<Device> device_;
  OpSetup setup_;
  Memory memory_;
  tsr_submission numbers_{};
  std::vector<GuardedMemory> guarded_;  // by tensor; empty where created
  std::vector<Buffer> buffers_;
  std::vector<uint64_t> offsets_;
  std::vector<std::vector<std::byte>> results_;
  std::vector<Weight> weights_;
  std::vector<KvPool> pools_;
  std::vector<std::byte> record_;
  std::vector<std::byte> given_record_;  // ruined once the program is made
  Program program_;
  Queue queue_;
};

// Prepares, runs and checks a trial: twice in one kind of memory, when the bits
// must repeat, and once in the other.
//
// Requires  `repeats` only for kernels that claim run-to-run determinism
Status run_and_check(const std::shared_ptr<Device>& device,
                     const OpTrial& trial, bool repeats);

}  // namespace tessera::conformance
