// SPDX-License-Identifier: Apache-2.0
//
// What a device says of its cooperative matrices (VK_KHR_cooperative_matrix).

#pragma once

#include <vulkan/vulkan.h>

#include <cstdint>

namespace tessera::vulkan {

// C[m, n] += A[m, k] * B[k, n] by one instruction of a subgroup.
struct MatrixSize {
  uint32_t m = 0;
  uint32_t n = 0;
  uint32_t k = 0;

  bool exists() const { return m != 0; }
};

struct MatrixFacts {
  MatrixSize int8;  // s8 products, s32 sums
  MatrixSize half;  // f16 products, f32 sums
};

// True if the shaders of this build can use them: glslc knew the extension.
bool has_matrix_shaders();

// The largest sizes that the shaders take; none where the driver lacks the
// extension.
MatrixFacts read_matrix_facts(VkInstance instance, VkPhysicalDevice physical);

// VkPhysicalDeviceCooperativeMatrixFeaturesKHR, for vkCreateDevice.
struct MatrixFeatures {
  VkStructureType sType;
  void* pNext;
  VkBool32 matrix;
  VkBool32 robust_access;
};
MatrixFeatures matrix_features();
constexpr const char* kMatrixExtension = "VK_KHR_cooperative_matrix";

}  // namespace tessera::vulkan
