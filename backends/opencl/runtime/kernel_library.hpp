// SPDX-License-Identifier: Apache-2.0
//
// The programs of one open device: each compiled, or loaded from the disk
// cache, when it is first asked for.

#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "backends/opencl/runtime/binary_cache.hpp"
#include "backends/opencl/runtime/cl_handles.hpp"
#include "backends/opencl/runtime/device_facts.hpp"

namespace tessera::opencl {

// A kernel of a program that is made of several .cl files.
struct KernelChoice {
  std::string kernel;
  std::vector<std::string> files;  // after base and args
  std::string constants;           // "-DHEAD_DIM=64 ..."
};

// Any thread.
class KernelLibrary {
 public:
  KernelLibrary(cl_context context, const DeviceFacts& facts,
                const std::string& cache_folder, std::string constants)
      : context_(context),
        facts_(facts),
        cache_(cache_folder),
        constants_(std::move(constants)) {}

  // A kernel of its own, whose arguments nobody else sets.
  //
  // Errors   throws INTERNAL with the compiler's log if it does not compile
  KernelHandle create(const KernelChoice& choice);

 private:
  cl_program program_of(const KernelChoice& choice);

  cl_context context_;
  const DeviceFacts& facts_;
  BinaryCache cache_;
  std::string constants_;  // of every kernel
  std::mutex mutex_;
  std::map<std::string, ProgramHandle> programs_;
};

}  // namespace tessera::opencl
