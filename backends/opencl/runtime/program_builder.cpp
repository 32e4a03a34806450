// SPDX-License-Identifier: Apache-2.0
//
// A binary that the driver refuses is only a slow start: the source is compiled
// again and takes its place.

#include "backends/opencl/runtime/program_builder.hpp"

#include <algorithm>
#include <vector>

#include "tessera/error.hpp"

namespace tessera::opencl {
namespace {

std::string device_text(cl_device_id device, cl_device_info field) {
  size_t size = 0;
  check_cl(clGetDeviceInfo(device, field, 0, nullptr, &size),
           "clGetDeviceInfo");
  std::string text(size, '\0');
  check_cl(clGetDeviceInfo(device, field, size, text.data(), nullptr),
           "clGetDeviceInfo");
  return text.c_str();
}

std::string build_log(cl_program program, cl_device_id device) {
  size_t size = 0;
  clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, nullptr,
                        &size);
  std::string log(size, '\0');
  clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, size, log.data(),
                        nullptr);
  return log.c_str();
}

ProgramHandle from_binary(cl_context context, cl_device_id device,
                          const std::vector<unsigned char>& bytes,
                          const std::string& options) {
  if (bytes.empty()) return nullptr;
  const unsigned char* data = bytes.data();
  const size_t size = bytes.size();
  cl_int code = CL_SUCCESS;
  ProgramHandle program(clCreateProgramWithBinary(context, 1, &device, &size,
                                                  &data, nullptr, &code));
  if (code != CL_SUCCESS) return nullptr;
  code = clBuildProgram(program.get(), 1, &device, options.c_str(), nullptr,
                        nullptr);
  return code == CL_SUCCESS ? std::move(program) : nullptr;
}

// The context may hold other devices; the program was built for one of them.
// Every binary gets a place: PoCL 3.1 lists the whole device in place of its
// part, and writes what is as long as it says through null.  Empty where the
// device is not listed.
std::vector<unsigned char> binary_of(cl_program program, cl_device_id device) {
  cl_uint count = 0;
  check_cl(clGetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof(count),
                            &count, nullptr),
           "clGetProgramInfo");
  std::vector<cl_device_id> devices(count);
  std::vector<size_t> sizes(count);
  check_cl(
      clGetProgramInfo(program, CL_PROGRAM_DEVICES,
                       count * sizeof(cl_device_id), devices.data(), nullptr),
      "clGetProgramInfo");
  check_cl(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES,
                            count * sizeof(size_t), sizes.data(), nullptr),
           "clGetProgramInfo");
  std::vector<std::vector<unsigned char>> binaries(count);
  std::vector<unsigned char*> places;
  for (cl_uint i = 0; i < count; ++i) {
    binaries[i].resize(sizes[i]);
    places.push_back(binaries[i].data());
  }
  check_cl(
      clGetProgramInfo(program, CL_PROGRAM_BINARIES,
                       count * sizeof(unsigned char*), places.data(), nullptr),
      "clGetProgramInfo");
  const auto found = std::find(devices.begin(), devices.end(), device);
  if (found == devices.end()) return {};
  return binaries[static_cast<size_t>(found - devices.begin())];
}

}  // namespace

std::string define(const char* name, uint32_t value) {
  return std::string(" -D") + name + "=" + std::to_string(value);
}

std::string binary_key(cl_device_id device, const ProgramSource& source) {
  return device_text(device, CL_DEVICE_NAME) + "\n" +
         device_text(device, CL_DEVICE_VERSION) + "\n" +
         device_text(device, CL_DRIVER_VERSION) + "\n" + source.options + "\n" +
         source.text;
}

ProgramHandle build_program(cl_context context, cl_device_id device,
                            const ProgramSource& source,
                            const BinaryCache& cache) {
  const std::string key = binary_key(device, source);
  ProgramHandle cached =
      from_binary(context, device, cache.load(key), source.options);
  if (cached != nullptr) return cached;
  const char* text = source.text.c_str();
  const size_t size = source.text.size();
  cl_int code = CL_SUCCESS;
  ProgramHandle program(
      clCreateProgramWithSource(context, 1, &text, &size, &code));
  check_cl(code, "clCreateProgramWithSource of " + source.name);
  code = clBuildProgram(program.get(), 1, &device, source.options.c_str(),
                        nullptr, nullptr);
  if (code != CL_SUCCESS) {
    throw sdk::Error(TSR_INTERNAL,
                     "opencl: " + source.name + " does not compile with \"" +
                         source.options +
                         "\": " + build_log(program.get(), device));
  }
  const std::vector<unsigned char> binary = binary_of(program.get(), device);
  if (!binary.empty()) cache.store(key, binary);
  return program;
}

}  // namespace tessera::opencl
