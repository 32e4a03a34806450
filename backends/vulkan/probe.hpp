// SPDX-License-Identifier: Apache-2.0
//
// What the device can do at most: bytes read from memory, and multiply-adds.

#pragma once

#include <cstdint>
#include <memory>

namespace tessera::vulkan {

class Gpu;
class Pipelines;

class Probe {
 public:
  enum class Kind : uint32_t { kFloat = 0, kInteger = 1, kDot = 2 };

  // Reads of `read_bytes`, a multiple of 4 MiB, and `steps` of each chain.
  //
  // Errors  throws RESOURCE_EXHAUSTED
  Probe(Gpu& gpu, Pipelines& pipelines, uint64_t read_bytes, uint32_t steps);
  ~Probe();
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  // Each runs one kernel and returns the seconds it took, and the driver's to
  // begin with.
  double read_seconds(bool texels);
  double multiply_seconds(Kind kind, uint32_t chains);
  // What they did.
  uint64_t read_bytes() const;
  double operations(Kind kind, uint32_t chains) const;
  // True if the driver reads texels of so many bytes.
  bool has_texels() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace tessera::vulkan
