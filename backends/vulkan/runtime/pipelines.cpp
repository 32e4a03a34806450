// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/runtime/pipelines.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>

#include "backends/vulkan/runtime/texels.hpp"
#include "backends/vulkan/shaders/shader_code.hpp"

namespace tessera::vulkan {
namespace {

constexpr uint32_t kPushBytes = 8;  // the address of a dispatch's arguments

std::string hex(const std::array<uint8_t, 16>& bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    char two[3];
    std::snprintf(two, sizeof(two), "%02x", byte);
    text += two;
  }
  return text;
}

PipelineLayoutHandle make_layout(VkDevice device,
                                 VkDescriptorSetLayout texels) {
  VkPushConstantRange range{};
  range.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
  range.size = kPushBytes;
  VkPipelineLayoutCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
  info.setLayoutCount = 1;
  info.pSetLayouts = &texels;
  info.pushConstantRangeCount = 1;
  info.pPushConstantRanges = &range;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  check_vk(vkCreatePipelineLayout(device, &info, nullptr, &layout),
           "vkCreatePipelineLayout");
  return {device, layout};
}

// The driver itself checks that the bytes are of its version and device.
PipelineCacheHandle make_cache(VkDevice device, const std::string& bytes) {
  VkPipelineCacheCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
  info.initialDataSize = bytes.size();
  info.pInitialData = bytes.data();
  VkPipelineCache cache = VK_NULL_HANDLE;
  check_vk(vkCreatePipelineCache(device, &info, nullptr, &cache),
           "vkCreatePipelineCache");
  return {device, cache};
}

ShaderHandle make_module(VkDevice device, const ShaderCode& code) {
  VkShaderModuleCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
  info.codeSize = code.bytes;
  info.pCode = code.words;
  VkShaderModule module = VK_NULL_HANDLE;
  check_vk(vkCreateShaderModule(device, &info, nullptr, &module),
           std::string("shader ") + code.name);
  return {device, module};
}

}  // namespace

CacheFile Pipelines::cache_file(const std::string& name) const {
  return {folder_, name + "-" + hex(gpu_.facts().driver_uuid) + "-" +
                       hex(gpu_.facts().device_uuid)};
}

Pipelines::Pipelines(const Gpu& gpu, const std::string& folder,
                     const Features& features)
    : gpu_(gpu), features_(features), folder_(folder) {
  texel_layout_ = make_texel_layout(gpu.device());
  layout_ = make_layout(gpu.device(), texel_layout_.get());
  cache_ = make_cache(gpu.device(), cache_file("pipelines").load());
}

Pipelines::~Pipelines() {
  if (folder_.empty()) return;
  try {
    keep();
  } catch (const std::exception&) {  // out of memory: compiled again next time
    return;
  }
}

void Pipelines::keep() const {
  size_t size = 0;
  VkResult got =
      vkGetPipelineCacheData(gpu_.device(), cache_.get(), &size, nullptr);
  std::string bytes(size, '\0');
  if (got == VK_SUCCESS) {
    got = vkGetPipelineCacheData(gpu_.device(), cache_.get(), &size,
                                 bytes.data());
  }
  if (got != VK_SUCCESS) return;
  bytes.resize(size);
  cache_file("pipelines").store(bytes);
}

VkPipeline Pipelines::get(const std::string& shader,
                          const std::vector<uint32_t>& constants) {
  const std::lock_guard<std::mutex> lock(mutex_);
  auto& pipeline = pipelines_[{shader, constants}];
  if (pipeline.get() == VK_NULL_HANDLE) pipeline = make(shader, constants);
  return pipeline.get();
}

// As shaders/CMakeLists.txt names them.
std::string Pipelines::variant_of(const std::string& shader) const {
  std::string name = shader;
  const auto add = [&](bool wanted, const std::string& suffix) {
    if (wanted && has_shader(name + suffix)) name += suffix;
  };
  add(features_.subgroups == Way::kNative, ".subgroups");
  add(features_.storage == Way::kEmulated, ".words");
  return name;
}

PipelineHandle Pipelines::make(const std::string& shader,
                               const std::vector<uint32_t>& constants) {
  const ShaderHandle module =
      make_module(gpu_.device(), find_shader(variant_of(shader)));
  std::vector<uint32_t> values = {gpu_.facts().divides_exactly ? 1U : 0U};
  values.insert(values.end(), constants.begin(), constants.end());
  std::vector<VkSpecializationMapEntry> entries;
  for (uint32_t id = 0; id < values.size(); ++id) {
    entries.push_back({id, id * 4, 4});
  }
  // Shaders that do not have it pass it over.
  const uint32_t lanes = std::max(gpu_.facts().subgroup_size, 1U);
  const std::pair<uint32_t, uint32_t> shared[] = {
      {29, gpu_.facts().most_iterations},  // of shaders/base.glsl
      {30, lanes},                         // LANES of shaders/base.glsl
      {31, 4 * lanes}};  // WORKERS of shaders/linear_matrix.comp
  for (const auto& [id, value] : shared) {
    entries.push_back({id, static_cast<uint32_t>(values.size() * 4), 4});
    values.push_back(value);
  }
  VkSpecializationInfo specialization{};
  specialization.mapEntryCount = static_cast<uint32_t>(entries.size());
  specialization.pMapEntries = entries.data();
  specialization.dataSize = values.size() * 4;
  specialization.pData = values.data();
  VkComputePipelineCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module.get();
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &specialization;
  // Else a driver may cut work-groups into subgroups of any size.
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfoEXT size{};
  if (gpu_.facts().fixes_subgroup_size) {
    size.sType =
        VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO_EXT;
    size.requiredSubgroupSize = lanes;
    info.stage.pNext = &size;
    info.stage.flags =
        VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT_EXT;
  }
  info.layout = layout_.get();
  VkPipeline pipeline = VK_NULL_HANDLE;
  check_vk(vkCreateComputePipelines(gpu_.device(), cache_.get(), 1, &info,
                                    nullptr, &pipeline),
           "shader " + shader);
  return {gpu_.device(), pipeline};
}

}  // namespace tessera::vulkan
