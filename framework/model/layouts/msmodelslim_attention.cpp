// SPDX-License-Identifier: Apache-2.0

#include "framework/model/layouts/msmodelslim_attention.hpp"

#include <fmt/format.h>

#include <string>

#include "framework/model/layouts/quantized_layout.hpp"
#include "tessera/types.h"

namespace tessera {
namespace {

// Where one kind keeps its scales, below self_attn.
struct Names {
  const char* q;  // null: has none
  const char* k;
  const char* v;
  const char* scale;
  const char* offset;
};

constexpr Names kC8 = {nullptr, "k_proj", "v_proj", "kv_cache_scale",
                       "kv_cache_offset"};
constexpr Names kFa3 = {"fa_q", "fa_k", "fa_v", "scale", "offset"};

std::string module_of(uint32_t layer, const char* name) {
  return fmt::format("model.layers.{}.self_attn.{}", layer, name);
}

void write_part(const std::string& module, const Names& names,
                const std::vector<float>& scales,
                std::vector<NamedTensor>* tensors) {
  std::vector<uint64_t> shape = {scales.size()};
  if (names.q != nullptr) shape.push_back(1);
  const std::vector<float> zeros(scales.size(), 0.0f);
  tensors->push_back(
      make_tensor<float>(module + "." + names.scale, TSR_F32, shape, scales));
  tensors->push_back(
      make_tensor<float>(module + "." + names.offset, TSR_F32, shape, zeros));
}

Result<std::vector<float>> read_part(const Checkpoint& checkpoint,
                                     const std::string& module,
                                     const Names& names) {
  const ModuleTensors tensors(checkpoint, module);
  TSR_ASSIGN_OR_RETURN(const TensorView* scale,
                       tensors.get(names.scale, {TSR_F32, TSR_F16, TSR_BF16}));
  uint64_t count = 1;
  for (const uint64_t size : scale->shape) count *= size;
  std::vector<float> values(count);
  for (uint64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(tensor_value(*scale, i));
  }
  const TensorView* const offset = tensors.find(names.offset);
  if (offset == nullptr) return values;
  if (offset->shape != scale->shape) {
    return tensors.error(names.offset, "has another shape than the scales");
  }
  for (uint64_t i = 0; i < count; ++i) {
    if (tensor_value(*offset, i) == 0.0) continue;
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("tensor {}.{}: asymmetric int8 attention is not "
                              "read",
                              module, names.offset));
  }
  return values;
}

}  // namespace

std::vector<NamedTensor> write_msmodelslim_attention(
    uint32_t layer, const AttentionScales& scales) {
  const Names& names = scales.kv_format == TSR_KV_I8_HEAD ? kFa3 : kC8;
  std::vector<NamedTensor> tensors;
  if (names.q != nullptr) {
    write_part(module_of(layer, names.q), names, scales.q, &tensors);
  }
  write_part(module_of(layer, names.k), names, scales.k, &tensors);
  write_part(module_of(layer, names.v), names, scales.v, &tensors);
  return tensors;
}

Result<std::optional<AttentionScales>> read_msmodelslim_attention(
    const Checkpoint& checkpoint, uint32_t layer) {
  const auto has = [&](const Names& names) {
    return checkpoint.find(module_of(layer, names.k) + "." + names.scale) !=
           nullptr;
  };
  AttentionScales scales;
  scales.kv_format = has(kFa3) ? TSR_KV_I8_HEAD : TSR_KV_I8_CHANNEL;
  const Names& names = has(kFa3) ? kFa3 : kC8;
  if (!has(names)) return std::optional<AttentionScales>();
  if (names.q != nullptr) {
    TSR_ASSIGN_OR_RETURN(
        scales.q, read_part(checkpoint, module_of(layer, names.q), names));
  }
  TSR_ASSIGN_OR_RETURN(scales.k,
                       read_part(checkpoint, module_of(layer, names.k), names));
  TSR_ASSIGN_OR_RETURN(scales.v,
                       read_part(checkpoint, module_of(layer, names.v), names));
  return std::optional<AttentionScales>(std::move(scales));
}

}  // namespace tessera
