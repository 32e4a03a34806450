// SPDX-License-Identifier: Apache-2.0
//
// A healthy driver of one platform with one device, which knows its name and
// nothing else.

#include <CL/cl_icd.h>

#include <cstring>
#include <string>

namespace {

// What the loader reads behind every handle.
struct Object {
  const cl_icd_dispatch* dispatch;
};

cl_int answer(const std::string& text, size_t capacity, void* value,
              size_t* size) {
  const size_t bytes = text.size() + 1;
  if (size != nullptr) *size = bytes;
  if (value == nullptr) return CL_SUCCESS;
  if (capacity < bytes) return CL_INVALID_VALUE;
  std::memcpy(value, text.c_str(), bytes);
  return CL_SUCCESS;
}

cl_int CL_API_CALL platform_info(cl_platform_id /*platform*/,
                                 cl_platform_info field, size_t capacity,
                                 void* value, size_t* size) {
  const bool is_name = field == CL_PLATFORM_NAME;
  return answer(is_name ? "second" : "cl_khr_icd", capacity, value, size);
}

cl_int CL_API_CALL device_info(cl_device_id /*device*/, cl_device_info field,
                               size_t capacity, void* value, size_t* size) {
  if (field != CL_DEVICE_NAME) return CL_INVALID_VALUE;
  return answer("the second driver's", capacity, value, size);
}

Object* device();

cl_int CL_API_CALL list_devices(cl_platform_id /*platform*/,
                                cl_device_type /*type*/, cl_uint capacity,
                                cl_device_id* devices, cl_uint* count) {
  if (count != nullptr) *count = 1;
  if (devices != nullptr && capacity > 0) {
    *devices = reinterpret_cast<cl_device_id>(device());
  }
  return CL_SUCCESS;
}

const cl_icd_dispatch* dispatch() {
  static const cl_icd_dispatch table = [] {
    cl_icd_dispatch known{};
    known.clGetPlatformInfo = &platform_info;
    known.clGetDeviceIDs = &list_devices;
    known.clGetDeviceInfo = &device_info;
    return known;
  }();
  return &table;
}

Object* device() {
  static Object object{dispatch()};
  return &object;
}

cl_int CL_API_CALL list_platforms(cl_uint capacity, cl_platform_id* platforms,
                                  cl_uint* count) {
  static Object platform{dispatch()};
  if (count != nullptr) *count = 1;
  if (platforms != nullptr && capacity > 0) {
    *platforms = reinterpret_cast<cl_platform_id>(&platform);
  }
  return CL_SUCCESS;
}

}  // namespace

// What the loader looks for in every driver.
extern "C" __attribute__((visibility("default"))) cl_int CL_API_CALL
clGetPlatformInfo(cl_platform_id platform, cl_platform_info field,
                  size_t capacity, void* value, size_t* size) {
  return platform_info(platform, field, capacity, value, size);
}

extern "C" __attribute__((visibility("default"))) void* CL_API_CALL
clGetExtensionFunctionAddress(const char* name) {
  if (std::strcmp(name, "clIcdGetPlatformIDsKHR") != 0) return nullptr;
  return reinterpret_cast<void*>(&list_platforms);
}
