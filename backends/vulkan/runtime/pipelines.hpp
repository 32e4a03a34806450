// SPDX-License-Identifier: Apache-2.0
//
// The compiled shaders of one open device: each specialized when it is first
// asked for.  What the driver compiled is kept on disk.

#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "backends/vulkan/features.hpp"
#include "backends/vulkan/runtime/cache_file.hpp"
#include "backends/vulkan/runtime/gpu.hpp"

namespace tessera::vulkan {

// Any thread.
class Pipelines {
 public:
  // `folder` is for the cache; "" for none.
  Pipelines(const Gpu& gpu, const std::string& folder,
            const Features& features);
  ~Pipelines();
  Pipelines(const Pipelines&) = delete;
  Pipelines& operator=(const Pipelines&) = delete;

  // The shader of that name, in the variant of it that the features ask for;
  // constant i + 1 is constants[i].
  //
  // Errors   throws INTERNAL if the driver does not compile it
  VkPipeline get(const std::string& shader,
                 const std::vector<uint32_t>& constants);
  // A file of the cache folder for this device and driver alone.
  CacheFile cache_file(const std::string& name) const;
  VkPipelineLayout layout() const { return layout_.get(); }
  VkDescriptorSetLayout texel_layout() const { return texel_layout_.get(); }

 private:
  void keep() const;
  std::string variant_of(const std::string& shader) const;
  PipelineHandle make(const std::string& shader,
                      const std::vector<uint32_t>& constants);

  const Gpu& gpu_;
  Features features_;
  std::string folder_;  // of caches
  SetLayoutHandle texel_layout_;
  PipelineLayoutHandle layout_;
  PipelineCacheHandle cache_;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::vector<uint32_t>>, PipelineHandle>
      pipelines_;
};

}  // namespace tessera::vulkan
