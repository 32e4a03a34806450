// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/runtime/kernel_library.hpp"

#include "backends/opencl/kernels/kernel_sources.hpp"
#include "backends/opencl/runtime/program_builder.hpp"

namespace tessera::opencl {

cl_program KernelLibrary::program_of(const KernelChoice& choice) {
  ProgramSource source;
  // Built-ins of later versions stand only in kernels that a device with OpenCL
  // 3.0 chose.
  const bool is_newer =
      choice.constants.find("DOT=2") != std::string::npos ||
      choice.constants.find("SUBGROUPS=2") != std::string::npos;
  source.options = is_newer ? "-cl-std=CL3.0" : "-cl-std=CL1.2";
  if (facts_.divides_exactly) {
    source.options += " -cl-fp32-correctly-rounded-divide-sqrt -DEXACT_DIVIDE";
  }
  source.options += constants_;
  if (!choice.constants.empty()) source.options += " " + choice.constants;
  source.text = kernel_source("base") + kernel_source("args");
  for (const std::string& file : choice.files) {
    source.name += (source.name.empty() ? "" : "+") + file + ".cl";
    source.text += kernel_source(file);
  }
  const std::string key = source.name + " " + source.options;
  const std::lock_guard<std::mutex> lock(mutex_);
  ProgramHandle& program = programs_[key];
  if (program == nullptr) {
    program = build_program(context_, facts_.device, source, cache_);
  }
  return program.get();
}

KernelHandle KernelLibrary::create(const KernelChoice& choice) {
  cl_int code = CL_SUCCESS;
  KernelHandle kernel(
      clCreateKernel(program_of(choice), choice.kernel.c_str(), &code));
  check_cl(code, "clCreateKernel of " + choice.kernel);
  return kernel;
}

}  // namespace tessera::opencl
