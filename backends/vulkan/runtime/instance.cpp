// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/runtime/instance.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

namespace tessera::vulkan {
namespace {

VKAPI_ATTR VkBool32 VKAPI_CALL
on_message(VkDebugUtilsMessageSeverityFlagBitsEXT /*severity*/,
           VkDebugUtilsMessageTypeFlagsEXT /*types*/,
           const VkDebugUtilsMessengerCallbackDataEXT* data, void* instance) {
  static_cast<Instance*>(instance)->add_message(data->pMessage);
  return VK_FALSE;
}

bool has_debug_utils() {
  uint32_t count = 0;
  vkEnumerateInstanceExtensionProperties(nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> all(count);
  vkEnumerateInstanceExtensionProperties(nullptr, &count, all.data());
  return std::any_of(all.begin(), all.end(), [](const auto& extension) {
    return std::strcmp(extension.extensionName,
                       VK_EXT_DEBUG_UTILS_EXTENSION_NAME) == 0;
  });
}

VkDebugUtilsMessengerCreateInfoEXT messenger_info(Instance* owner) {
  VkDebugUtilsMessengerCreateInfoEXT info{};
  info.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
  info.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT |
                         VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT;
  info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
  info.pfnUserCallback = on_message;
  info.pUserData = owner;
  return info;
}

bool has_extension(VkPhysicalDevice physical, const char* name) {
  uint32_t count = 0;
  vkEnumerateDeviceExtensionProperties(physical, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> all(count);
  vkEnumerateDeviceExtensionProperties(physical, nullptr, &count, all.data());
  return std::any_of(all.begin(), all.end(), [&](const auto& extension) {
    return std::strcmp(extension.extensionName, name) == 0;
  });
}

// What a device can do, for shaders to ask for.
struct DeviceFeatures {
  VkPhysicalDeviceFeatures2 core{};
  VkPhysicalDeviceVulkan11Features v11{};
  VkPhysicalDeviceVulkan12Features v12{};
  VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR dot{};
  VkPhysicalDeviceSubgroupSizeControlFeaturesEXT sizes{};

  explicit DeviceFeatures(VkPhysicalDevice physical) {
    core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    core.pNext = &v11;
    v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
    v11.pNext = &v12;
    v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    dot.sType =
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR;
    if (has_extension(physical,
                      VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME)) {
      v12.pNext = &dot;
    }
    sizes.sType =
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT;
    if (has_extension(physical, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
      sizes.pNext = v12.pNext;
      v12.pNext = &sizes;
    }
    vkGetPhysicalDeviceFeatures2(physical, &core);
  }
};

// The first feature that the shaders need and the device lacks.
std::string missing_feature(const DeviceFeatures& features) {
  const std::pair<VkBool32, const char*> needed[] = {
      {features.v12.bufferDeviceAddress, "bufferDeviceAddress"},
      {features.v12.timelineSemaphore, "timelineSemaphore"},
      {features.v12.scalarBlockLayout, "scalarBlockLayout"},
      {features.core.features.shaderInt64, "shaderInt64"},
  };
  for (const auto& [has, name] : needed) {
    if (has == VK_FALSE) return std::string("the driver lacks ") + name;
  }
  return "";
}

// Fills a structure that extends the properties of a device.
template <typename Properties>
Properties read_properties(VkPhysicalDevice physical, VkStructureType type) {
  Properties extension{};
  extension.sType = type;
  VkPhysicalDeviceProperties2 properties{};
  properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
  properties.pNext = &extension;
  vkGetPhysicalDeviceProperties2(physical, &properties);
  return extension;
}

bool dot_is_fast(VkPhysicalDevice physical) {
  const auto dot = read_properties<
      VkPhysicalDeviceShaderIntegerDotProductPropertiesKHR>(
      physical,
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES_KHR);
  return dot.integerDotProduct4x8BitPackedSignedAccelerated == VK_TRUE;
}

bool may_fix_size(const GpuFacts& facts) {
  const auto sizes = read_properties<
      VkPhysicalDeviceSubgroupSizeControlPropertiesEXT>(
      facts.physical,
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES_EXT);
  return (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) !=
             0 &&
         facts.subgroup_size >= sizes.minSubgroupSize &&
         facts.subgroup_size <= sizes.maxSubgroupSize &&
         facts.subgroup_size <= 64;
}

// Which variants of the shaders it runs.
void read_features(VkInstance instance, GpuFacts& facts) {
  const DeviceFeatures features(facts.physical);
  facts.missing = missing_feature(features);
  facts.has_small_storage = features.v12.storageBuffer8BitAccess == VK_TRUE &&
                            features.v12.shaderInt8 == VK_TRUE &&
                            features.v11.storageBuffer16BitAccess == VK_TRUE &&
                            features.core.features.shaderInt16 == VK_TRUE;
  facts.has_dot = features.dot.shaderIntegerDotProduct == VK_TRUE;
  facts.dot_is_fast = facts.has_dot && dot_is_fast(facts.physical);
  facts.fixes_subgroup_size = features.sizes.subgroupSizeControl == VK_TRUE &&
                              features.sizes.computeFullSubgroups == VK_TRUE &&
                              may_fix_size(facts);
  if (has_extension(facts.physical, kMatrixExtension) &&
      features.v12.vulkanMemoryModel == VK_TRUE &&
      features.v12.shaderFloat16 == VK_TRUE && facts.has_small_storage &&
      has_matrix_shaders()) {
    const MatrixFacts matrices = read_matrix_facts(instance, facts.physical);
    facts.int8_matrix = matrices.int8;
    facts.half_matrix = matrices.half;
  }
}

void read_queues(GpuFacts& facts, double tick_ns) {
  uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(facts.physical, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(facts.physical, &count,
                                           families.data());
  facts.queues = choose_queues(families);
  if (facts.queues.lanes.empty()) {
    facts.missing = "the driver has no compute queue";
    return;
  }
  const uint32_t tick_bits =
      families[facts.queues.lanes[0].family].timestampValidBits;
  if (tick_bits == 0) return;
  facts.timestamp_ns = tick_ns;
  facts.timestamp_mask = UINT64_MAX >> (64 - tick_bits);
}

GpuFacts read_facts(VkInstance instance, VkPhysicalDevice physical) {
  GpuFacts facts;
  facts.physical = physical;
  VkPhysicalDeviceProperties plain{};
  vkGetPhysicalDeviceProperties(physical, &plain);
  facts.name = plain.deviceName;
  if (plain.apiVersion < VK_API_VERSION_1_2) {
    facts.missing = "the driver is older than Vulkan 1.2";
    return facts;
  }
  VkPhysicalDeviceExternalMemoryHostPropertiesEXT host{};
  host.sType =
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT;
  VkPhysicalDeviceVulkan12Properties v12{};
  v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES;
  VkPhysicalDeviceVulkan11Properties v11{};
  v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES;
  v11.pNext = &v12;
  facts.imports_host_memory =
      has_extension(physical, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  if (facts.imports_host_memory) v12.pNext = &host;
  VkPhysicalDeviceProperties2 properties{};
  properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
  properties.pNext = &v11;
  vkGetPhysicalDeviceProperties2(physical, &properties);
  facts.driver = std::string(v12.driverName) + " " + v12.driverInfo;
  std::copy_n(v11.deviceUUID, 16, facts.device_uuid.begin());
  std::copy_n(v11.driverUUID, 16, facts.driver_uuid.begin());
  facts.is_cpu = plain.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
  const bool is_llvmpipe = v12.driverID == VK_DRIVER_ID_MESA_LLVMPIPE;
  facts.divides_exactly = is_llvmpipe;
  // Source: Mesa, gallivm/lp_bld_limits.h, LP_MAX_TGSI_LOOP_ITERATIONS.
  if (is_llvmpipe) facts.most_iterations = 65535;
  facts.import_alignment =
      std::max<uint64_t>(host.minImportedHostPointerAlignment, 1);
  facts.max_alloc_bytes = v11.maxMemoryAllocationSize;
  facts.texel_alignment =
      std::max<uint64_t>(plain.limits.minTexelBufferOffsetAlignment, 16);
  facts.max_texels = plain.limits.maxTexelBufferElements;
  std::copy_n(plain.limits.maxComputeWorkGroupCount, facts.max_groups.size(),
              facts.max_groups.begin());
  if ((v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0) {
    facts.subgroup_size = v11.subgroupSize;
    facts.subgroup_operations = v11.subgroupSupportedOperations;
  }
  read_features(instance, facts);
  read_queues(facts, double{plain.limits.timestampPeriod});
  vkGetPhysicalDeviceMemoryProperties(physical, &facts.memory);
  return facts;
}

}  // namespace

Instance::Instance() {
  VkApplicationInfo application{};
  application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  application.pApplicationName = "tessera";
  application.apiVersion = VK_API_VERSION_1_2;
  const bool debug = has_debug_utils();
  const char* const extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME};
  const VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(this);
  VkInstanceCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  info.pApplicationInfo = &application;
  info.enabledExtensionCount = debug ? 1 : 0;
  info.ppEnabledExtensionNames = extensions;
  const VkResult created = vkCreateInstance(&info, nullptr, &instance_);
  if (created != VK_SUCCESS) {
    reason_ = "no Vulkan driver can be loaded (VkResult " +
              std::to_string(created) + ")";
    return;
  }
  const auto create_messenger =
      reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(
          vkGetInstanceProcAddr(instance_, "vkCreateDebugUtilsMessengerEXT"));
  VkDebugUtilsMessengerEXT made = VK_NULL_HANDLE;
  if (debug && create_messenger != nullptr) {
    create_messenger(instance_, &messenger, nullptr, &made);
  }
  uint32_t count = 0;
  vkEnumeratePhysicalDevices(instance_, &count, nullptr);
  std::vector<VkPhysicalDevice> physical(count);
  vkEnumeratePhysicalDevices(instance_, &count, physical.data());
  physical.resize(count);
  for (VkPhysicalDevice device : physical) {
    gpus_.push_back(read_facts(instance_, device));
  }
  if (gpus_.empty()) reason_ = "the Vulkan drivers here have no device";
}

Instance& Instance::get() {
  // Never destroyed: drivers do not like to be called while a process ends.
  static auto* const instance = new Instance;
  return *instance;
}

void Instance::add_message(const char* message) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (message_.empty()) message_ = message;
}

std::string Instance::take_message() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(message_, "");
}

}  // namespace tessera::vulkan
