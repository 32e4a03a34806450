// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/vulkan/faults/fault_layer.hpp"

#include <vulkan/vk_layer.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "tests/unit/backends/vulkan/faults/pretended_queues.hpp"

namespace tessera::vulkan_faults {
namespace {

// The functions of a device that return a VkResult and that a backend calls.
#define TSR_FOR_EACH_FUNCTION(X) \
  X(AllocateCommandBuffers)      \
  X(AllocateDescriptorSets)      \
  X(AllocateMemory)              \
  X(BeginCommandBuffer)          \
  X(BindBufferMemory)            \
  X(CreateBuffer)                \
  X(CreateBufferView)            \
  X(CreateCommandPool)           \
  X(CreateComputePipelines)      \
  X(CreateDescriptorPool)        \
  X(CreateDescriptorSetLayout)   \
  X(CreatePipelineCache)         \
  X(CreatePipelineLayout)        \
  X(CreateQueryPool)             \
  X(CreateSemaphore)             \
  X(CreateShaderModule)          \
  X(EndCommandBuffer)            \
  X(GetQueryPoolResults)         \
  X(MapMemory)                   \
  X(QueueSubmit)                 \
  X(ResetCommandPool)            \
  X(WaitSemaphores)

enum Function : int {
#define TSR_NUMBER(name) k##name,
  TSR_FOR_EACH_FUNCTION(TSR_NUMBER)
#undef TSR_NUMBER
      kCreateDevice,
  kNumFunctions
};

constexpr const char* kNames[] = {
#define TSR_NAME(name) "vk" #name,
    TSR_FOR_EACH_FUNCTION(TSR_NAME)
#undef TSR_NAME
        "vkCreateDevice",
};

int find_function(const std::string& name) {
  for (int i = 0; i < kNumFunctions; ++i) {
    if (name == kNames[i]) return i;
  }
  return -1;
}

// The fault to come.
struct Fault {
  std::mutex mutex;
  int function = -1;
  uint32_t calls_left = 0;  // before it
  bool stays = false;
  VkResult result = VK_SUCCESS;
  bool has_failed = false;
};

void set_fault(const std::string& function, uint32_t nth, VkResult result,
               bool stays);

Fault& fault() {
  static Fault instance;
  return instance;
}

// What TSR_VULKAN_FAULT asks for, at the first call.
void read_environment() {
  const char* text = std::getenv("TSR_VULKAN_FAULT");
  if (text == nullptr) return;
  char name[64] = "";
  unsigned nth = 0;
  int result = 0;
  if (std::sscanf(text, "%63[^:]:%u:%d", name, &nth, &result) != 3 ||
      find_function(name) < 0) {
    std::fprintf(stderr, "TSR_VULKAN_FAULT=%s is no FUNCTION:CALL:RESULT\n",
                 text);
    std::abort();
  }
  set_fault(name, nth, static_cast<VkResult>(result), true);
}

void set_fault(const std::string& function, uint32_t nth, VkResult result,
               bool stays) {
  Fault& f = fault();
  const std::lock_guard<std::mutex> lock(f.mutex);
  f.function = find_function(function);
  f.calls_left = nth;
  f.stays = stays;
  f.result = result;
  f.has_failed = false;
}

// VK_SUCCESS: the call goes on to the driver.
VkResult result_of_call(int function) {
  static std::once_flag once;
  std::call_once(once, read_environment);
  Fault& f = fault();
  const std::lock_guard<std::mutex> lock(f.mutex);
  if (f.function != function) return VK_SUCCESS;
  if (f.calls_left > 0) {
    --f.calls_left;
    return VK_SUCCESS;
  }
  f.has_failed = true;
  if (!f.stays) f.function = -1;
  return f.result;
}

std::atomic<bool> loaded{false};
PFN_vkGetInstanceProcAddr next_instance_proc = nullptr;
PFN_vkGetDeviceProcAddr next_device_proc = nullptr;
// Of the layer or driver below; the same for every device of a process, whose
// devices all have one driver.
PFN_vkVoidFunction next[kNumFunctions] = {};

template <typename Call, Function kFunction>
struct Hook;
template <typename... Args, Function kFunction>
struct Hook<VkResult(VKAPI_PTR*)(Args...), kFunction> {
  static VKAPI_ATTR VkResult VKAPI_CALL call(Args... args) {
    const VkResult failed = result_of_call(kFunction);
    if (failed != VK_SUCCESS) return failed;
    using Call = VkResult(VKAPI_PTR*)(Args...);
    return reinterpret_cast<Call>(next[kFunction])(args...);
  }
};

PFN_vkVoidFunction hook_of(const char* name) {
#define TSR_HOOK(function)                           \
  if (std::strcmp(name, "vk" #function) == 0) {      \
    return reinterpret_cast<PFN_vkVoidFunction>(     \
        &Hook<PFN_vk##function, k##function>::call); \
  }
  TSR_FOR_EACH_FUNCTION(TSR_HOOK)
#undef TSR_HOOK
  return nullptr;
}

// The link of a layer to the next one, of a loader's chain.
template <typename Link>
Link* find_link(const void* chain, VkStructureType type) {
  auto* info = static_cast<const VkBaseInStructure*>(chain);
  for (; info != nullptr; info = info->pNext) {
    auto* link = reinterpret_cast<const Link*>(info);
    if (info->sType == type && link->function == VK_LAYER_LINK_INFO) {
      return const_cast<Link*>(link);
    }
  }
  return nullptr;
}

VKAPI_ATTR VkResult VKAPI_CALL
create_instance(const VkInstanceCreateInfo* info,
                const VkAllocationCallbacks* allocator, VkInstance* instance) {
  auto* link = find_link<VkLayerInstanceCreateInfo>(
      info->pNext, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
  if (link == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  next_instance_proc = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  const auto create = reinterpret_cast<PFN_vkCreateInstance>(
      next_instance_proc(nullptr, "vkCreateInstance"));
  const VkResult made = create(info, allocator, instance);
  if (made == VK_SUCCESS) {
    next[kCreateDevice] = next_instance_proc(*instance, "vkCreateDevice");
  }
  return made;
}

PFN_vkVoidFunction function_below(VkDevice device, const char* name) {
  const PFN_vkVoidFunction pretended = pretended_function(name);
  return pretended != nullptr ? pretended : next_device_proc(device, name);
}

VKAPI_ATTR VkResult VKAPI_CALL
create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo* info,
              const VkAllocationCallbacks* allocator, VkDevice* device) {
  const VkResult failed = result_of_call(kCreateDevice);
  if (failed != VK_SUCCESS) return failed;
  auto* link = find_link<VkLayerDeviceCreateInfo>(
      info->pNext, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
  if (link == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  next_device_proc = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  const VkDeviceCreateInfo asked = pretended_device(*info);
  const VkResult made = reinterpret_cast<PFN_vkCreateDevice>(
      next[kCreateDevice])(physical, &asked, allocator, device);
  if (made != VK_SUCCESS) return made;
  pretend_device(*device, next_device_proc);
  for (int i = 0; i < kCreateDevice; ++i) {
    next[i] = function_below(*device, kNames[i]);
  }
  loaded = true;
  return VK_SUCCESS;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_proc(VkDevice device,
                                                     const char* name) {
  const PFN_vkVoidFunction hook = hook_of(name);
  return hook != nullptr ? hook : function_below(device, name);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instance_proc(VkInstance instance,
                                                       const char* name) {
  const auto as_function = [](auto* function) {
    return reinterpret_cast<PFN_vkVoidFunction>(function);
  };
  if (std::strcmp(name, "vkGetInstanceProcAddr") == 0) {
    return as_function(&instance_proc);
  }
  if (std::strcmp(name, "vkGetDeviceProcAddr") == 0) {
    return as_function(&device_proc);
  }
  if (std::strcmp(name, "vkCreateInstance") == 0) {
    return as_function(&create_instance);
  }
  if (std::strcmp(name, "vkCreateDevice") == 0) {
    return as_function(&create_device);
  }
  const PFN_vkVoidFunction hook = hook_of(name);
  if (hook != nullptr) return hook;
  const PFN_vkVoidFunction pretended = pretended_function(name);
  if (pretended != nullptr) return pretended;
  return next_instance_proc == nullptr ? nullptr
                                       : next_instance_proc(instance, name);
}

}  // namespace

std::vector<std::string> functions() {
  return {std::begin(kNames), std::end(kNames)};
}
void fail_call(const std::string& function, uint32_t nth, VkResult result) {
  set_fault(function, nth, result, false);
}
void fail_calls_from(const std::string& function, uint32_t nth,
                     VkResult result) {
  set_fault(function, nth, result, true);
}
void fail_nothing() { set_fault("", 0, VK_SUCCESS, false); }
bool has_failed() {
  const std::lock_guard<std::mutex> lock(fault().mutex);
  return fault().has_failed;
}
bool is_loaded() { return loaded; }

}  // namespace tessera::vulkan_faults

// What the loader asks a layer's library for.
extern "C" VK_LAYER_EXPORT VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface* version) {
  using namespace tessera::vulkan_faults;
  if (version->sType != LAYER_NEGOTIATE_INTERFACE_STRUCT ||
      version->loaderLayerInterfaceVersion < 2) {
    return VK_ERROR_INITIALIZATION_FAILED;
  }
  version->loaderLayerInterfaceVersion = 2;
  version->pfnGetInstanceProcAddr = instance_proc;
  version->pfnGetDeviceProcAddr = device_proc;
  version->pfnGetPhysicalDeviceProcAddr = nullptr;
  return VK_SUCCESS;
}
