// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/runtime/device_facts.hpp"

#include "backends/opencl/runtime/probe.hpp"

namespace tessera::opencl {
namespace {

std::string text_of(cl_device_id device, cl_device_info field) {
  size_t size = 0;
  if (clGetDeviceInfo(device, field, 0, nullptr, &size) != CL_SUCCESS) {
    return "";
  }
  std::string text(size, '\0');
  if (clGetDeviceInfo(device, field, size, text.data(), nullptr) !=
      CL_SUCCESS) {
    return "";
  }
  return text.c_str();
}

// 0 where the driver does not answer.
template <typename Value>
Value value_of(cl_device_id device, cl_device_info field) {
  Value value{};
  if (clGetDeviceInfo(device, field, sizeof(value), &value, nullptr) !=
      CL_SUCCESS) {
    return {};
  }
  return value;
}

std::string platform_text(cl_platform_id platform) {
  char text[256] = "";
  clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof(text) - 1, text,
                    nullptr);
  return text;
}

DeviceFacts facts_of(cl_platform_id platform, cl_device_id device) {
  DeviceFacts facts;
  facts.platform = platform;
  facts.device = device;
  facts.name = text_of(device, CL_DEVICE_NAME);
  facts.platform_name = platform_text(platform);
  facts.driver = text_of(device, CL_DRIVER_VERSION);
  facts.extensions = text_of(device, CL_DEVICE_EXTENSIONS);
  const auto type = value_of<cl_device_type>(device, CL_DEVICE_TYPE);
  facts.is_cpu = (type & CL_DEVICE_TYPE_CPU) != 0;
  facts.has_unified_memory =
      value_of<cl_bool>(device, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
  const auto float_config =
      value_of<cl_device_fp_config>(device, CL_DEVICE_SINGLE_FP_CONFIG);
  facts.divides_exactly =
      (float_config & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0;
  facts.memory_bytes = value_of<cl_ulong>(device, CL_DEVICE_GLOBAL_MEM_SIZE);
  facts.max_alloc_bytes =
      value_of<cl_ulong>(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
  facts.local_bytes = value_of<cl_ulong>(device, CL_DEVICE_LOCAL_MEM_SIZE);
  facts.max_workgroup = static_cast<uint32_t>(
      value_of<size_t>(device, CL_DEVICE_MAX_WORK_GROUP_SIZE));
  facts.compute_units = value_of<cl_uint>(device, CL_DEVICE_MAX_COMPUTE_UNITS);
  facts.clock_mhz = value_of<cl_uint>(device, CL_DEVICE_MAX_CLOCK_FREQUENCY);
  facts.vector_width =
      value_of<cl_uint>(device, CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT);
  return facts;
}

std::vector<cl_platform_id> list_platforms() {
  cl_uint count = 0;
  if (clGetPlatformIDs(0, nullptr, &count) != CL_SUCCESS) return {};
  std::vector<cl_platform_id> platforms(count);
  if (clGetPlatformIDs(count, platforms.data(), nullptr) != CL_SUCCESS) {
    return {};
  }
  return platforms;
}

std::vector<DeviceFacts> ask_drivers() {
  std::vector<DeviceFacts> all;
  for (cl_platform_id platform : list_platforms()) {
    cl_uint count = 0;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, nullptr, &count) !=
        CL_SUCCESS) {
      continue;
    }
    std::vector<cl_device_id> devices(count);
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, devices.data(),
                       nullptr) != CL_SUCCESS) {
      continue;
    }
    for (cl_device_id device : devices) {
      all.push_back(facts_of(platform, device));
    }
  }
  return all;
}

}  // namespace

bool DeviceFacts::has_extension(const std::string& extension) const {
  return (" " + extensions + " ").find(" " + extension + " ") !=
         std::string::npos;
}

DeviceList list_devices() {
  constexpr int kProbeSeconds = 20;
  DeviceList list;
  list.reason = probe_in_child([] { ask_drivers(); }, kProbeSeconds);
  if (!list.reason.empty()) {
    list.reason = "the OpenCL drivers of this machine " + list.reason +
                  " when they are asked for their devices";
    return list;
  }
  list.devices = ask_drivers();
  if (list.devices.empty()) list.reason = "no OpenCL device is installed";
  return list;
}

}  // namespace tessera::opencl
