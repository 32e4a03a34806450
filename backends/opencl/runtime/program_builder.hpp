// SPDX-License-Identifier: Apache-2.0
//
// Turns kernel source into a program of one device, by way of the disk cache.

#pragma once

#include <CL/cl.h>

#include <cstdint>
#include <string>

#include "backends/opencl/runtime/binary_cache.hpp"
#include "backends/opencl/runtime/cl_handles.hpp"

namespace tessera::opencl {

struct ProgramSource {
  std::string name;  // for messages
  std::string text;
  std::string options;  // of the compiler, -D constants among them
};

// The option that gives a program a constant; options follow one another as
// they are.
std::string define(const char* name, uint32_t value);

// Names the device, its driver, the options and the source, so that a change of
// any asks for another binary.  Throws sdk::Error.
std::string binary_key(cl_device_id device, const ProgramSource& source);

// A built program.  Throws sdk::Error with the source's name and the compiler's
// log where it does not compile.
ProgramHandle build_program(cl_context context, cl_device_id device,
                            const ProgramSource& source,
                            const BinaryCache& cache);

}  // namespace tessera::opencl
