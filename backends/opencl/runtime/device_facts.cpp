// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/runtime/device_facts.hpp"

#include "backends/opencl/runtime/driver_files.hpp"
#include "backends/opencl/runtime/probe.hpp"
#include "tessera/error.hpp"

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
  facts.is_version_3 =
      text_of(device, CL_DEVICE_VERSION).rfind("OpenCL 3.", 0) == 0;
  const auto type = value_of<cl_device_type>(device, CL_DEVICE_TYPE);
  facts.is_cpu = (type & CL_DEVICE_TYPE_CPU) != 0;
  facts.has_unified_memory =
      value_of<cl_bool>(device, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
  const auto float_config =
      value_of<cl_device_fp_config>(device, CL_DEVICE_SINGLE_FP_CONFIG);
  facts.divides_exactly =
      (float_config & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0;
  facts.has_fine_svm = (value_of<cl_device_svm_capabilities>(
                            device, CL_DEVICE_SVM_CAPABILITIES) &
                        CL_DEVICE_SVM_FINE_GRAIN_BUFFER) != 0;
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

std::string probe_drivers() {
  constexpr int kSeconds = 10;
  return probe_in_child([] { ask_drivers(); }, kSeconds);
}

std::string probe_drivers_of(const std::vector<DriverFile>& files) {
  constexpr int kSeconds = 5;
  const OnlyTheseDrivers only(files);
  return probe_in_child([] { ask_drivers(); }, kSeconds);
}

}  // namespace

bool DeviceFacts::has_extension(const std::string& extension) const {
  return (" " + extensions + " ").find(" " + extension + " ") !=
         std::string::npos;
}

DeviceList list_devices() {
  DeviceList list;
  std::vector<DriverFile> healthy;
  const std::string fault = probe_drivers();
  if (fault.empty()) {
    list.devices = ask_drivers();
  } else {
    // One after another beside the healthy ones: some break only together.
    for (const DriverFile& file : driver_files()) {
      healthy.push_back(file);
      const std::string own = probe_drivers_of(healthy);
      if (!own.empty()) {
        healthy.pop_back();
        list.faults.push_back("driver " + file.name + ": " + own +
                              " when it is asked for its devices");
      }
    }
    // Without a name the fault is of all: the loader's own, say.
    if (list.faults.empty()) {
      list.faults.push_back("the OpenCL drivers of this machine " + fault +
                            " when they are asked for their devices");
      healthy.clear();
    }
    if (!healthy.empty()) {
      const OnlyTheseDrivers only(healthy);
      list.devices = ask_drivers();
    }
  }
  if (list.devices.empty()) {
    list.reason = list.faults.empty() ? "no OpenCL device is installed"
                                      : list.faults.front();
  }
  return list;
}

namespace {

// Parts by the first way in which the device can be split; {} if it cannot.
std::vector<cl_device_id> split(cl_device_id device) {
  const cl_device_partition_property ways[][3] = {
      {CL_DEVICE_PARTITION_BY_AFFINITY_DOMAIN, CL_DEVICE_AFFINITY_DOMAIN_NUMA,
       0},
      {CL_DEVICE_PARTITION_EQUALLY, 1, 0}};
  for (const auto& way : ways) {
    cl_uint count = 0;
    if (clCreateSubDevices(device, way, 0, nullptr, &count) != CL_SUCCESS ||
        count < 2) {
      continue;
    }
    std::vector<cl_device_id> parts(count);
    if (clCreateSubDevices(device, way, count, parts.data(), nullptr) ==
        CL_SUCCESS) {
      return parts;
    }
  }
  return {};
}

}  // namespace

DeviceFacts part_of(const DeviceFacts& device, uint32_t index) {
  const std::vector<cl_device_id> parts = split(device.device);
  if (index >= parts.size()) {
    throw sdk::Error(TSR_NOT_FOUND, "part " + std::to_string(index) + " of " +
                                        std::to_string(parts.size()) +
                                        " parts of " + device.name);
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i != index) clReleaseDevice(parts[i]);
  }
  DeviceFacts facts = facts_of(device.platform, parts[index]);
  facts.name += " part " + std::to_string(index);
  return facts;
}

}  // namespace tessera::opencl
