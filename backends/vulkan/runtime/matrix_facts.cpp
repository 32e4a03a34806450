// SPDX-License-Identifier: Apache-2.0
//
// The headers of Vulkan have these structures from 1.3.255 on; older ones build
// this too.

#include "backends/vulkan/runtime/matrix_facts.hpp"

#include <vector>

#include "backends/vulkan/shaders/shader_code.hpp"

namespace tessera::vulkan {
namespace {

constexpr auto kFeaturesType = static_cast<VkStructureType>(1000506000);
constexpr auto kPropertiesType = static_cast<VkStructureType>(1000506001);

// VkComponentTypeKHR and VkScopeKHR.
enum Component : int32_t { kF16 = 0, kF32 = 1, kS8 = 3, kS32 = 5 };
constexpr int32_t kSubgroupScope = 3;

// VkCooperativeMatrixPropertiesKHR.
struct MatrixProperties {
  VkStructureType sType;
  void* pNext;
  uint32_t m;
  uint32_t n;
  uint32_t k;
  int32_t a;
  int32_t b;
  int32_t c;
  int32_t result;
  VkBool32 saturates;
  int32_t scope;
};

using GetProperties = VkResult(VKAPI_PTR*)(VkPhysicalDevice, uint32_t*,
                                           MatrixProperties*);

// As shaders/linear_matrix.comp cuts its tiles.
bool fits_tiles(const MatrixProperties& p, uint32_t columns) {
  constexpr uint32_t kWaveRows = 32;
  constexpr uint32_t kMostSums = 256;
  return kWaveRows % p.m == 0 && kWaveRows % p.n == 0 &&
         p.m * p.n <= kMostSums && columns % p.k == 0;
}

void keep_larger(const MatrixProperties& p, MatrixSize& best) {
  if (uint64_t{p.m} * p.n * p.k <= uint64_t{best.m} * best.n * best.k) return;
  best = {p.m, p.n, p.k};
}

}  // namespace

bool has_matrix_shaders() {
  return has_shader("linear_matrix_s8.native") &&
         has_shader("linear_matrix_f16.native");
}

MatrixFacts read_matrix_facts(VkInstance instance, VkPhysicalDevice physical) {
  MatrixFacts facts;
  const auto get = reinterpret_cast<GetProperties>(vkGetInstanceProcAddr(
      instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
  uint32_t count = 0;
  if (get == nullptr || get(physical, &count, nullptr) != VK_SUCCESS) {
    return facts;
  }
  MatrixProperties empty{};
  empty.sType = kPropertiesType;
  std::vector<MatrixProperties> all(count, empty);
  if (get(physical, &count, all.data()) != VK_SUCCESS) return facts;
  for (const MatrixProperties& p : all) {
    if (p.scope != kSubgroupScope || p.saturates != VK_FALSE || p.a != p.b ||
        p.c != p.result) {
      continue;
    }
    // A row of a step is 64 bytes of codes.
    if (p.a == kS8 && p.c == kS32 && fits_tiles(p, 64)) {
      keep_larger(p, facts.int8);
    }
    if (p.a == kF16 && p.c == kF32 && fits_tiles(p, 32)) {
      keep_larger(p, facts.half);
    }
  }
  return facts;
}

MatrixFeatures matrix_features() {
  return {kFeaturesType, nullptr, VK_TRUE, VK_FALSE};
}

}  // namespace tessera::vulkan
