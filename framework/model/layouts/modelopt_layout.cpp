// SPDX-License-Identifier: Apache-2.0

#include "framework/model/layouts/modelopt_layout.hpp"

#include <cstring>
#include <utility>

#include "framework/format/element.hpp"
#include "framework/format/fp4_layout.hpp"
#include "tessera/ops.h"

namespace tessera {
namespace {

class ModelOptLayout final : public QuantizedLayout {
 public:
  Result<std::optional<StoredLinear>> find(
      const ModuleTensors& tensors) const override {
    const TensorView* const codes = tensors.find("weight");
    if (codes == nullptr || tensors.find("weight_scale") == nullptr) {
      return std::optional<StoredLinear>();
    }
    TSR_RETURN_IF_ERROR(tensors.get("weight", {TSR_U8, TSR_F8E4M3}).status());
    TSR_ASSIGN_OR_RETURN(const auto shape, matrix_shape(*codes));
    StoredLinear stored{{}, shape.first, shape.second};
    stored.choice.act_quant = TSR_ACT_F8_DYNAMIC;
    stored.choice.format = TSR_WEIGHT_F8E4M3;
    if (codes->dtype == TSR_F8E4M3) {
      TSR_RETURN_IF_ERROR(
          tensors.get("weight_scale", {TSR_F32}, 1, 1).status());
      return std::optional<StoredLinear>(stored);
    }
    if (stored.K > uint32_t{INT32_MAX} / 2) {
      return tensors.error("weight", "too many columns");
    }
    stored.K *= 2;
    stored.choice = {TSR_WEIGHT_NVFP4, 16, true, TSR_ACT_FLOAT};
    TSR_RETURN_IF_ERROR(tensors
                            .get("weight_scale", {TSR_F8E4M3}, stored.N,
                                 count_groups(stored.K, 16))
                            .status());
    TSR_RETURN_IF_ERROR(
        tensors.get("weight_scale_2", {TSR_F32}, 1, 1).status());
    return std::optional<StoredLinear>(stored);
  }

  Result<format::WeightData> read(const ModuleTensors& tensors,
                                  const StoredLinear& stored) const override {
    const TensorView& codes = *tensors.find("weight");
    const TensorView& scales = *tensors.find("weight_scale");
    if (stored.choice.format == TSR_WEIGHT_NVFP4) {
      format::Fp4Tensors parts;
      parts.codes = codes.data;
      parts.scales = scales.data;
      parts.tensor_scale = format::load_element<float>(
          tensors.find("weight_scale_2")->data.data(), 0);
      return format::read_fp4(format::Fp4Layout::kNvfp4ModelOpt, stored.N,
                              stored.K, parts)
          .annotate(tensors.module());
    }
    format::WeightData weight{TSR_WEIGHT_F8E4M3, stored.N, stored.K, {}};
    weight.planes.push_back({TSR_PLANE_CODES,
                             TSR_F8E4M3,
                             stored.N,
                             stored.K,
                             1,
                             1,
                             {},
                             codes.data});
    format::Plane scale = make_plane(TSR_PLANE_SCALE, TSR_F32, 1, 1);
    scale.block_n = stored.N;
    scale.block_k = stored.K;
    std::memcpy(scale.owned.data(), scales.data.data(), sizeof(float));
    weight.planes.push_back(std::move(scale));
    return weight;
  }
};

}  // namespace

Result<std::unique_ptr<QuantizedLayout>> make_modelopt_layout(
    const JsonObject& config) {
  TSR_ASSIGN_OR_RETURN(const std::string algorithm,
                       config.string("quant_algo"));
  if (algorithm != "NVFP4" && algorithm != "FP8") {
    return Status(TSR_UNIMPLEMENTED, config.where() + ": quant_algo " +
                                         algorithm +
                                         " is not read; NVFP4 and FP8 are");
  }
  return std::unique_ptr<QuantizedLayout>(std::make_unique<ModelOptLayout>());
}

}  // namespace tessera
