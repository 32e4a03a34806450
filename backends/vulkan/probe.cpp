// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/probe.hpp"

#include <chrono>
#include <cstring>

#include "backends/vulkan/runtime/buffer.hpp"
#include "backends/vulkan/runtime/pipelines.hpp"
#include "backends/vulkan/runtime/texels.hpp"

namespace tessera::vulkan {
namespace {

constexpr uint32_t kReadSteps = 512;  // of 16 bytes, of an invocation
constexpr uint32_t kMultiplyGroups = 64;
constexpr uint32_t kPerStep = 8;  // as shaders/probe_multiply.comp
constexpr uint64_t kResultBytes = 1 << 20;

struct ReadArgs {
  uint64_t from = 0;
  uint64_t result = 0;
  int32_t steps = 0;
  int32_t reserved = 0;
};

struct MultiplyArgs {
  uint64_t values = 0;
  int32_t steps = 0;
  int32_t reserved = 0;
};

}  // namespace

class Probe::State {
 public:
  State(Gpu& gpu, Pipelines& pipelines, uint64_t read_bytes, uint32_t steps)
      : gpu_(gpu),
        pipelines_(pipelines),
        steps_(steps),
        lanes_(gpu.facts().subgroup_size == 0 ? 1 : gpu.facts().subgroup_size),
        memory_(gpu, read_bytes, Memory::kDevice),
        results_(gpu, kResultBytes, Memory::kDevice),
        args_(gpu, sizeof(ReadArgs) + sizeof(MultiplyArgs), Memory::kHost) {
    // Never written memory is one page of zeros.
    gpu.run_once(0, [&](VkCommandBuffer commands) {
      vkCmdFillBuffer(commands, memory_.buffer(), 0, VK_WHOLE_SIZE, 0x01010101);
      vkCmdFillBuffer(commands, results_.buffer(), 0, VK_WHOLE_SIZE,
                      0x3f7fbe77);  // 0.999f
    });
  }

  bool has_texels() const {
    return fits_texels(gpu_.facts(), {&memory_, 0, memory_.bytes()});
  }
  uint64_t read_bytes() const { return memory_.bytes(); }
  double operations(Kind kind, uint32_t chains) const {
    const double products = kind == Kind::kDot ? 4.0 : 1.0;
    return 2.0 * products * lanes_ * kMultiplyGroups * kPerStep * steps_ *
           chains;
  }

  double read_seconds(bool texels) {
    const ReadArgs args{memory_.address(), results_.address(),
                        static_cast<int32_t>(kReadSteps), 0};
    std::memcpy(args_.host(), &args, sizeof(args));
    Dispatch dispatch{pipelines_.get("probe_read", {texels ? 1U : 0U}), {}};
    dispatch.texels = {{&memory_, 0, has_texels() ? memory_.bytes() : 16}};
    const uint64_t bytes = uint64_t{kReadSteps} * lanes_ * 16;
    return run(dispatch, args_.address(),
               static_cast<uint32_t>(memory_.bytes() / bytes));
  }

  double multiply_seconds(Kind kind, uint32_t chains) {
    const MultiplyArgs args{results_.address(), static_cast<int32_t>(steps_),
                            0};
    std::memcpy(args_.host() + sizeof(ReadArgs), &args, sizeof(args));
    const Dispatch dispatch{
        pipelines_.get("probe_multiply", {chains, static_cast<uint32_t>(kind)}),
        {}};
    return run(dispatch, args_.address() + sizeof(ReadArgs), kMultiplyGroups);
  }

 private:
  double run(const Dispatch& dispatch, uint64_t args, uint32_t groups) {
    const TexelSets sets(gpu_.device(), pipelines_.texel_layout(), {dispatch});
    VkPipelineLayout layout = pipelines_.layout();
    const auto begin = std::chrono::steady_clock::now();
    gpu_.run_once(0, [&](VkCommandBuffer commands) {
      vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                        dispatch.pipeline);
      VkDescriptorSet set = sets.at(0);
      if (set != VK_NULL_HANDLE) {
        vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                                layout, 0, 1, &set, 0, nullptr);
      }
      vkCmdPushConstants(commands, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                         sizeof(args), &args);
      vkCmdDispatch(commands, groups, 1, 1);
    });
    return std::chrono::duration<double>(std::chrono::steady_clock::now() -
                                         begin)
        .count();
  }

  Gpu& gpu_;
  Pipelines& pipelines_;
  uint32_t steps_;
  uint32_t lanes_;
  Buffer memory_;
  Buffer results_;
  Buffer args_;
};

Probe::Probe(Gpu& gpu, Pipelines& pipelines, uint64_t read_bytes,
             uint32_t steps)
    : state_(std::make_unique<State>(gpu, pipelines, read_bytes, steps)) {}
Probe::~Probe() = default;
double Probe::read_seconds(bool texels) { return state_->read_seconds(texels); }
double Probe::multiply_seconds(Kind kind, uint32_t chains) {
  return state_->multiply_seconds(kind, chains);
}
uint64_t Probe::read_bytes() const { return state_->read_bytes(); }
double Probe::operations(Kind kind, uint32_t chains) const {
  return state_->operations(kind, chains);
}
bool Probe::has_texels() const { return state_->has_texels(); }

}  // namespace tessera::vulkan
