// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/vulkan/faults/pretended_queues.hpp"

#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>

namespace tessera::vulkan_faults {
namespace {

constexpr VkQueueFlags kAll = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT |
                              VK_QUEUE_TRANSFER_BIT |
                              VK_QUEUE_SPARSE_BINDING_BIT;
constexpr VkQueueFlags kCompute =
    VK_QUEUE_COMPUTE_BIT | VK_QUEUE_TRANSFER_BIT | VK_QUEUE_SPARSE_BINDING_BIT;
constexpr VkQueueFlags kTransfer =
    VK_QUEUE_TRANSFER_BIT | VK_QUEUE_SPARSE_BINDING_BIT;
constexpr VkQueueFlags kVideo = VK_QUEUE_TRANSFER_BIT | 0x20;  // decodes

// As vulkaninfo shows them for a GeForce, a Radeon with RADV, an Arc with ANV.
const std::map<std::string, std::vector<VkQueueFamilyProperties>>& drivers() {
  // clang-format off
  static const std::map<std::string, std::vector<VkQueueFamilyProperties>> all = {
      {"nvidia", {{kAll, 16, 64, {1, 1, 1}}, {kTransfer, 2, 64, {1, 1, 1}},
                  {kCompute, 8, 64, {1, 1, 1}}, {kVideo, 1, 32, {1, 1, 1}}}},
      {"radv",   {{kAll, 1, 64, {1, 1, 1}}, {kCompute, 4, 64, {1, 1, 1}}}},
      {"intel",  {{kAll, 1, 36, {1, 1, 1}}, {kCompute, 1, 36, {1, 1, 1}},
                  {VK_QUEUE_TRANSFER_BIT, 1, 36, {1, 1, 1}}}},
  };
  // clang-format on
  return all;
}

const std::vector<VkQueueFamilyProperties>& pretended() {
  static const std::vector<VkQueueFamilyProperties> families = [] {
    const char* driver = std::getenv("TSR_VULKAN_QUEUES");
    return driver == nullptr ? std::vector<VkQueueFamilyProperties>{}
                             : families_of(driver);
  }();
  return families;
}

// One submission, by itself.
struct Job {
  struct Point {
    VkSemaphore semaphore;
    uint64_t value;
  };
  std::vector<VkCommandBuffer> commands;
  std::vector<Point> waits;
  std::vector<Point> signals;
};

// What the pretended queues of a device share.
struct Below {
  VkDevice device = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;  // the only one
  std::mutex mutex;                // of that queue
  PFN_vkQueueSubmit submit = nullptr;
  PFN_vkWaitSemaphores wait = nullptr;
  PFN_vkQueueWaitIdle wait_idle = nullptr;
  PFN_vkDestroyDevice destroy = nullptr;
  PFN_vkCreateCommandPool create_pool = nullptr;
  PFN_vkCreateBuffer create_buffer = nullptr;
};

constexpr std::pair<uint32_t, uint32_t> kNone = {UINT32_MAX, UINT32_MAX};

// Which queue stands still; what each was given.
struct Traffic {
  std::mutex mutex;
  std::condition_variable changed;
  std::pair<uint32_t, uint32_t> held = kNone;  // family and index
  std::map<std::pair<uint32_t, uint32_t>, Submissions> submissions;
};

Traffic& traffic() {
  static auto* const instance = new Traffic;
  return *instance;
}

// What the application has for a queue.  The loader writes its table into the
// first word.
class Queue {
 public:
  Queue(Below& below, uint32_t family, uint32_t index)
      : below_(below),
        family_(family),
        index_(index),
        worker_([this] { run(); }) {}
  ~Queue() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ends_ = true;
    }
    changed_.notify_all();
    worker_.join();
  }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  bool is(VkDevice device, uint32_t family, uint32_t index) const {
    return below_.device == device && family_ == family && index_ == index;
  }
  VkDevice device() const { return below_.device; }

  void add(Job job) {
    {
      const std::lock_guard<std::mutex> lock(traffic().mutex);
      Submissions& seen = traffic().submissions[{family_, index_}];
      ++seen.count;
      seen.last_waits = static_cast<uint32_t>(job.waits.size());
    }
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    changed_.notify_all();
  }
  VkResult wait_idle() {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return jobs_.empty(); });
    }
    const std::lock_guard<std::mutex> lock(below_.mutex);
    return below_.wait_idle(below_.queue);
  }

 private:
  void run() {
    std::mt19937 rng(family_ * 97 + index_);
    for (;;) {
      Job job;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return ends_ || !jobs_.empty(); });
        if (jobs_.empty()) return;
        job = jobs_.front();
      }
      wait_for_turn(job);
      std::this_thread::sleep_for(std::chrono::microseconds(rng() % 200));
      start(job);
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        jobs_.pop_front();
      }
      changed_.notify_all();
    }
  }

  void wait_for_turn(const Job& job) {
    {
      std::unique_lock<std::mutex> lock(traffic().mutex);
      traffic().changed.wait(lock, [this] {
        return traffic().held != std::pair(family_, index_);
      });
    }
    for (const Job::Point& point : job.waits) {
      VkSemaphoreWaitInfo info{};
      info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
      info.semaphoreCount = 1;
      info.pSemaphores = &point.semaphore;
      info.pValues = &point.value;
      require(below_.wait(below_.device, &info, UINT64_MAX));
    }
  }

  void start(const Job& job) {
    std::vector<VkSemaphore> semaphores;
    std::vector<uint64_t> values;
    for (const Job::Point& point : job.signals) {
      semaphores.push_back(point.semaphore);
      values.push_back(point.value);
    }
    VkTimelineSemaphoreSubmitInfo timeline{};
    timeline.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
    timeline.signalSemaphoreValueCount = static_cast<uint32_t>(values.size());
    timeline.pSignalSemaphoreValues = values.data();
    VkSubmitInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    info.pNext = &timeline;
    info.commandBufferCount = static_cast<uint32_t>(job.commands.size());
    info.pCommandBuffers = job.commands.data();
    info.signalSemaphoreCount = static_cast<uint32_t>(semaphores.size());
    info.pSignalSemaphores = semaphores.data();
    const std::lock_guard<std::mutex> lock(below_.mutex);
    require(below_.submit(below_.queue, 1, &info, VK_NULL_HANDLE));
  }

  // The application has gone on: nobody is left to tell.
  static void require(VkResult result) {
    if (result == VK_SUCCESS) return;
    std::fprintf(stderr, "pretended queue: VkResult %d\n", result);
    std::abort();
  }

  void* loader_table_ = nullptr;  // first
  Below& below_;
  uint32_t family_;
  uint32_t index_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;  // the first until the driver has it
  bool ends_ = false;
  std::thread worker_;  // last: it uses the others
};

// Of all devices that are open.
struct Devices {
  std::mutex mutex;
  std::list<Below> below;
  std::list<Queue> queues;
};

Devices& devices() {
  static auto* const instance = new Devices;
  return *instance;
}

Below& below_of(VkDevice device) {
  const std::lock_guard<std::mutex> lock(devices().mutex);
  return *std::find_if(devices().below.begin(), devices().below.end(),
                       [&](const Below& b) { return b.device == device; });
}

Queue& queue_of(VkQueue queue) { return *reinterpret_cast<Queue*>(queue); }

// ---- What the application calls

VKAPI_ATTR void VKAPI_CALL get_families(VkPhysicalDevice /*physical*/,
                                        uint32_t* count,
                                        VkQueueFamilyProperties* families) {
  const auto size = static_cast<uint32_t>(pretended().size());
  *count = families == nullptr ? size : std::min(*count, size);
  if (families != nullptr) std::copy_n(pretended().begin(), *count, families);
}

VKAPI_ATTR void VKAPI_CALL get_families2(VkPhysicalDevice /*physical*/,
                                         uint32_t* count,
                                         VkQueueFamilyProperties2* families) {
  const auto size = static_cast<uint32_t>(pretended().size());
  *count = families == nullptr ? size : std::min(*count, size);
  for (uint32_t i = 0; families != nullptr && i < *count; ++i) {
    families[i].queueFamilyProperties = pretended()[i];
  }
}

VKAPI_ATTR void VKAPI_CALL get_queue(VkDevice device, uint32_t family,
                                     uint32_t index, VkQueue* queue) {
  Below& below = below_of(device);
  const std::lock_guard<std::mutex> lock(devices().mutex);
  auto& all = devices().queues;
  auto found = std::find_if(all.begin(), all.end(), [&](const Queue& q) {
    return q.is(device, family, index);
  });
  if (found == all.end()) {
    all.emplace_back(below, family, index);
    found = std::prev(all.end());
  }
  *queue = reinterpret_cast<VkQueue>(&*found);
}

Job copy_of(const VkSubmitInfo& info) {
  const auto* timeline =
      static_cast<const VkTimelineSemaphoreSubmitInfo*>(info.pNext);
  Job job;
  job.commands.assign(info.pCommandBuffers,
                      info.pCommandBuffers + info.commandBufferCount);
  for (uint32_t i = 0; i < info.waitSemaphoreCount; ++i) {
    job.waits.push_back(
        {info.pWaitSemaphores[i], timeline->pWaitSemaphoreValues[i]});
  }
  for (uint32_t i = 0; i < info.signalSemaphoreCount; ++i) {
    job.signals.push_back(
        {info.pSignalSemaphores[i], timeline->pSignalSemaphoreValues[i]});
  }
  return job;
}

// The backend's submissions name timeline semaphores and no fence.
VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t count,
                                      const VkSubmitInfo* infos,
                                      VkFence /*fence*/) {
  for (uint32_t i = 0; i < count; ++i) queue_of(queue).add(copy_of(infos[i]));
  return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL wait_queue_idle(VkQueue queue) {
  return queue_of(queue).wait_idle();
}

std::vector<Queue*> queues_of(VkDevice device) {
  const std::lock_guard<std::mutex> lock(devices().mutex);
  std::vector<Queue*> queues;
  for (Queue& queue : devices().queues) {
    if (queue.device() == device) queues.push_back(&queue);
  }
  return queues;
}

VKAPI_ATTR VkResult VKAPI_CALL wait_device_idle(VkDevice device) {
  for (Queue* queue : queues_of(device)) {
    const VkResult idle = queue->wait_idle();
    if (idle != VK_SUCCESS) return idle;
  }
  return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL
destroy_device(VkDevice device, const VkAllocationCallbacks* allocator) {
  if (device == VK_NULL_HANDLE) return;
  const auto destroy = below_of(device).destroy;
  {
    const std::lock_guard<std::mutex> lock(devices().mutex);
    devices().queues.remove_if(
        [&](const Queue& queue) { return queue.device() == device; });
    devices().below.remove_if(
        [&](const Below& below) { return below.device == device; });
  }
  destroy(device, allocator);
}

VKAPI_ATTR VkResult VKAPI_CALL
create_pool(VkDevice device, const VkCommandPoolCreateInfo* info,
            const VkAllocationCallbacks* allocator, VkCommandPool* pool) {
  VkCommandPoolCreateInfo asked = *info;
  asked.queueFamilyIndex = 0;
  return below_of(device).create_pool(device, &asked, allocator, pool);
}

VKAPI_ATTR VkResult VKAPI_CALL
create_buffer(VkDevice device, const VkBufferCreateInfo* info,
              const VkAllocationCallbacks* allocator, VkBuffer* buffer) {
  VkBufferCreateInfo asked = *info;
  asked.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
  asked.queueFamilyIndexCount = 0;
  return below_of(device).create_buffer(device, &asked, allocator, buffer);
}

}  // namespace

// Layers are nearer to the application the sooner their manifest is found.
void load_families_of(const char* driver) {
  setenv("VK_ADD_LAYER_PATH",
         "/usr/share/vulkan/explicit_layer.d:" TSR_LAYER_FOLDER, 1);
  setenv("VK_INSTANCE_LAYERS",
         "VK_LAYER_KHRONOS_validation:VK_LAYER_TSR_faults", 1);
  setenv("TSR_VULKAN_QUEUES", driver, 1);
}

std::vector<VkQueueFamilyProperties> families_of(const char* driver) {
  const auto found = drivers().find(driver);
  return found == drivers().end() ? std::vector<VkQueueFamilyProperties>{}
                                  : found->second;
}

void hold_queue(uint32_t family, uint32_t index) {
  const std::lock_guard<std::mutex> lock(traffic().mutex);
  traffic().held = {family, index};
}

void let_go() {
  hold_queue(kNone.first, kNone.second);
  traffic().changed.notify_all();
}

Submissions submissions_to(uint32_t family, uint32_t index) {
  const std::lock_guard<std::mutex> lock(traffic().mutex);
  return traffic().submissions[{family, index}];
}

PFN_vkVoidFunction pretended_function(const char* name) {
  if (pretended().empty()) return nullptr;
  const auto as_function = [](auto* function) {
    return reinterpret_cast<PFN_vkVoidFunction>(function);
  };
  const std::pair<const char*, PFN_vkVoidFunction> functions[] = {
      {"vkGetPhysicalDeviceQueueFamilyProperties", as_function(&get_families)},
      {"vkGetPhysicalDeviceQueueFamilyProperties2",
       as_function(&get_families2)},
      {"vkGetPhysicalDeviceQueueFamilyProperties2KHR",
       as_function(&get_families2)},
      {"vkGetDeviceQueue", as_function(&get_queue)},
      {"vkQueueSubmit", as_function(&submit)},
      {"vkQueueWaitIdle", as_function(&wait_queue_idle)},
      {"vkDeviceWaitIdle", as_function(&wait_device_idle)},
      {"vkDestroyDevice", as_function(&destroy_device)},
      {"vkCreateCommandPool", as_function(&create_pool)},
      {"vkCreateBuffer", as_function(&create_buffer)},
  };
  for (const auto& [known, function] : functions) {
    if (std::strcmp(name, known) == 0) return function;
  }
  return nullptr;
}

VkDeviceCreateInfo pretended_device(const VkDeviceCreateInfo& info) {
  static constexpr float kPriority = 1.0f;
  static constexpr VkDeviceQueueCreateInfo kOnly = {
      VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, nullptr, 0, 0, 1, &kPriority};
  VkDeviceCreateInfo asked = info;
  if (pretended().empty()) return asked;
  asked.queueCreateInfoCount = 1;
  asked.pQueueCreateInfos = &kOnly;
  return asked;
}

void pretend_device(VkDevice device, PFN_vkGetDeviceProcAddr below) {
  if (pretended().empty()) return;
  const std::lock_guard<std::mutex> lock(devices().mutex);
  Below& made = devices().below.emplace_back();
  const auto find = [&](auto& function, const char* name) {
    function =
        reinterpret_cast<std::decay_t<decltype(function)>>(below(device, name));
  };
  made.device = device;
  find(made.submit, "vkQueueSubmit");
  find(made.wait, "vkWaitSemaphores");
  find(made.wait_idle, "vkQueueWaitIdle");
  find(made.destroy, "vkDestroyDevice");
  find(made.create_pool, "vkCreateCommandPool");
  find(made.create_buffer, "vkCreateBuffer");
  PFN_vkGetDeviceQueue get = nullptr;
  find(get, "vkGetDeviceQueue");
  get(device, 0, 0, &made.queue);
  // As the loader does for queues that it hands out: layers below look there.
  std::memcpy(static_cast<void*>(made.queue), static_cast<void*>(device),
              sizeof(void*));
}

}  // namespace tessera::vulkan_faults
