// SPDX-License-Identifier: Apache-2.0

#include "framework/model/layouts/compressed_tensors_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "framework/format/element.hpp"
#include "framework/format/fp4_layout.hpp"
#include "framework/model/layouts/compressed_tensors_config.hpp"
#include "tessera/ops.h"

namespace tessera {
namespace {

uint32_t word(const TensorView& view, size_t index) {
  return format::load_element<uint32_t>(view.data.data(), index);
}

// Value + 2^(bits - 1), as it is packed, into a code of the plane.
void store_code(format::Plane& plane, uint32_t row, uint32_t col,
                uint32_t packed) {
  std::byte* const bytes = plane.mutable_row(row);
  switch (plane.dtype) {
    case TSR_U4:
      format::set_nibble(bytes, col, packed);
      return;
    case TSR_I4:
      format::set_nibble(bytes, col, packed ^ 8U);
      return;
    case TSR_I8:
      bytes[col] = static_cast<std::byte>(packed ^ 0x80U);
      return;
    default:
      bytes[col] = static_cast<std::byte>(packed);
  }
}

class CompressedTensorsLayout final : public QuantizedLayout {
 public:
  explicit CompressedTensorsLayout(std::vector<CompressedGroup> groups)
      : groups_(std::move(groups)) {}

  Result<std::optional<StoredLinear>> find(
      const ModuleTensors& tensors) const override {
    const bool packed = tensors.find("weight_packed") != nullptr;
    if (!packed && tensors.find("weight_scale") == nullptr) {
      return std::optional<StoredLinear>();
    }
    const CompressedGroup* const group =
        find_compressed_group(groups_, tensors.module());
    if (group == nullptr) {
      return tensors.error("weight_scale",
                           "no target of quantization_config "
                           "is " +
                               tensors.module());
    }
    StoredLinear stored{group->choice, 0, 0};
    TSR_ASSIGN_OR_RETURN(const auto shape,
                         shape_of(tensors, group->choice.format, packed));
    std::tie(stored.N, stored.K) = shape;
    TSR_RETURN_IF_ERROR(check_scales(tensors, *group, stored, packed));
    TSR_RETURN_IF_ERROR(check_inputs(tensors, *group));
    return std::optional<StoredLinear>(stored);
  }

  Result<format::WeightData> read(const ModuleTensors& tensors,
                                  const StoredLinear& stored) const override {
    const CompressedGroup& group =
        *find_compressed_group(groups_, tensors.module());
    switch (stored.choice.format) {
      case TSR_WEIGHT_NVFP4:
      case TSR_WEIGHT_MXFP4:
        return read_fp4(tensors, stored);
      case TSR_WEIGHT_F4E2M1:
        return read_plain_fp4(tensors, stored);
      case TSR_WEIGHT_F8E4M3:
        return read_fp8(tensors, stored, group);
      default:
        return read_integers(tensors, stored, group);
    }
  }

 private:
  static bool is_fp4(uint32_t format) {
    return format == TSR_WEIGHT_NVFP4 || format == TSR_WEIGHT_MXFP4 ||
           format == TSR_WEIGHT_F4E2M1;
  }

  static Result<std::pair<uint32_t, uint32_t>> shape_of(
      const ModuleTensors& tensors, uint32_t format, bool packed) {
    if (is_fp4(format)) {
      TSR_ASSIGN_OR_RETURN(const TensorView* const codes,
                           tensors.get("weight_packed", {TSR_U8}));
      TSR_ASSIGN_OR_RETURN(auto shape, matrix_shape(*codes));
      if (shape.second > uint32_t{INT32_MAX} / 2) {
        return tensors.error("weight_packed", "too many columns");
      }
      shape.second *= 2;
      return shape;
    }
    if (!packed) {
      const uint32_t dtype = format == TSR_WEIGHT_F8E4M3 ? TSR_F8E4M3 : TSR_I8;
      TSR_ASSIGN_OR_RETURN(const TensorView* const codes,
                           tensors.get("weight", {dtype}));
      return matrix_shape(*codes);
    }
    return packed_shape(tensors, format == TSR_WEIGHT_I8 ? 8 : 4);
  }

  static Result<std::pair<uint32_t, uint32_t>> packed_shape(
      const ModuleTensors& tensors, uint32_t bits) {
    TSR_ASSIGN_OR_RETURN(const TensorView* const view,
                         tensors.get("weight_shape", {TSR_I32, TSR_I64}, 2, 1));
    const double rows = tensor_value(*view, 0);
    const double cols = tensor_value(*view, 1);
    if (!(rows >= 1 && rows <= INT32_MAX && cols >= 1 && cols <= INT32_MAX)) {
      return tensors.error("weight_shape",
                           fmt::format("[{}, {}] is no shape", rows, cols));
    }
    const auto K = static_cast<uint32_t>(cols);
    const auto N = static_cast<uint32_t>(rows);
    const uint32_t per_word = 32 / bits;
    TSR_RETURN_IF_ERROR(
        tensors
            .get("weight_packed", {TSR_I32}, N, (K + per_word - 1) / per_word)
            .status());
    return std::pair(N, K);
  }

  static Status check_scales(const ModuleTensors& tensors,
                             const CompressedGroup& group,
                             const StoredLinear& stored, bool packed) {
    const uint32_t groups = count_groups(stored.K, group.choice.group_size);
    if (group.choice.format == TSR_WEIGHT_MXFP4) {
      return tensors.get("weight_scale", {TSR_U8, TSR_E8M0}, stored.N, groups)
          .status();
    }
    if (group.choice.format == TSR_WEIGHT_NVFP4) {
      TSR_RETURN_IF_ERROR(
          tensors.get("weight_global_scale", {TSR_F32}, 1, 1).status());
      return tensors.get("weight_scale", {TSR_F8E4M3}, stored.N, groups)
          .status();
    }
    const uint32_t rows = group.per_tensor ? 1 : stored.N;
    TSR_RETURN_IF_ERROR(
        tensors.get("weight_scale", {TSR_F32, TSR_F16, TSR_BF16}, rows, groups)
            .status());
    if (packed && tensors.find("weight_g_idx") != nullptr) {
      TSR_RETURN_IF_ERROR(
          tensors.get("weight_g_idx", {TSR_I32}, stored.K, 1).status());
    }
    if (group.choice.symmetric) return {};
    if (!packed) {
      return tensors.get("weight_zero_point", {TSR_I8}, rows, groups).status();
    }
    const uint32_t per_word = 32 / group.bits;
    return tensors
        .get("weight_zero_point", {TSR_I32}, (rows + per_word - 1) / per_word,
             groups)
        .status();
  }

  static Status check_inputs(const ModuleTensors& tensors,
                             const CompressedGroup& group) {
    if (group.choice.act_quant != TSR_ACT_I8_STATIC) return {};
    TSR_RETURN_IF_ERROR(
        tensors.get("input_scale", {TSR_F32, TSR_F16, TSR_BF16}, 1, 1)
            .status());
    if (group.symmetric_input) return {};
    return tensors.get("input_zero_point", {TSR_I8}, 1, 1).status();
  }

  static Result<format::WeightData> read_fp4(const ModuleTensors& tensors,
                                             const StoredLinear& stored) {
    format::Fp4Tensors parts;
    parts.codes = tensors.find("weight_packed")->data;
    parts.scales = tensors.find("weight_scale")->data;
    auto layout = format::Fp4Layout::kMxfp4CompressedTensors;
    if (stored.choice.format == TSR_WEIGHT_NVFP4) {
      layout = format::Fp4Layout::kNvfp4CompressedTensors;
      parts.tensor_scale = format::load_element<float>(
          tensors.find("weight_global_scale")->data.data(), 0);
    }
    return format::read_fp4(layout, stored.N, stored.K, parts)
        .annotate(tensors.module());
  }

  static format::WeightData read_plain_fp4(const ModuleTensors& tensors,
                                           const StoredLinear& stored) {
    const TensorView& scales = *tensors.find("weight_scale");
    format::WeightData weight{TSR_WEIGHT_F4E2M1, stored.N, stored.K, {}};
    weight.planes.push_back({TSR_PLANE_CODES,
                             TSR_F4E2M1,
                             stored.N,
                             stored.K,
                             1,
                             1,
                             {},
                             tensors.find("weight_packed")->data});
    const uint32_t group_size = stored.choice.group_size;
    format::Plane scale = make_plane(TSR_PLANE_SCALE, scales.dtype, stored.N,
                                     count_groups(stored.K, group_size));
    scale.block_n = 1;
    scale.block_k = group_size;
    std::memcpy(scale.owned.data(), scales.data.data(), scale.owned.size());
    weight.planes.push_back(std::move(scale));
    return weight;
  }

  static Result<format::WeightData> read_fp8(const ModuleTensors& tensors,
                                             const StoredLinear& stored,
                                             const CompressedGroup& group) {
    const TensorView& codes = *tensors.find("weight");
    const TensorView& scales = *tensors.find("weight_scale");
    format::WeightData weight{TSR_WEIGHT_F8E4M3, stored.N, stored.K, {}};
    weight.planes.push_back({TSR_PLANE_CODES,
                             TSR_F8E4M3,
                             stored.N,
                             stored.K,
                             1,
                             1,
                             {},
                             codes.data});
    const uint32_t group_size = stored.choice.group_size;
    format::Plane scale = make_plane(TSR_PLANE_SCALE, scales.dtype,
                                     group.per_tensor ? 1 : stored.N,
                                     count_groups(stored.K, group_size));
    scale.block_n = group.per_tensor ? stored.N : 1;
    scale.block_k = group_size == 0 ? stored.K : group_size;
    std::memcpy(scale.owned.data(), scales.data.data(), scale.owned.size());
    weight.planes.push_back(std::move(scale));
    return weight;
  }

  static Result<format::WeightData> read_integers(
      const ModuleTensors& tensors, const StoredLinear& stored,
      const CompressedGroup& group) {
    const TensorView& scales = *tensors.find("weight_scale");
    format::WeightData weight = make_integer_weight(
        stored, scales.dtype, group.per_tensor ? 1 : stored.N);
    std::memcpy(weight.find(TSR_PLANE_SCALE)->owned.data(), scales.data.data(),
                scales.data.size());
    std::vector<int32_t> order;
    if (tensors.find("weight_packed") != nullptr) {
      TSR_ASSIGN_OR_RETURN(order, column_order(tensors, stored));
      read_packed(tensors, group.bits, order, &weight);
    } else {
      TSR_RETURN_IF_ERROR(read_bytes(tensors, group.bits, &weight));
    }
    add_permutation(order, &weight);
    if (stored.choice.act_quant != TSR_ACT_I8_STATIC) return weight;
    const double scale = tensor_value(*tensors.find("input_scale"), 0);
    const double zero =
        group.symmetric_input
            ? 0.0
            : tensor_value(*tensors.find("input_zero_point"), 0);
    TSR_RETURN_IF_ERROR(add_static_scale(static_cast<float>(scale),
                                         static_cast<int32_t>(zero), &weight)
                            .annotate(tensors.module()));
    return weight;
  }

  static Result<std::vector<int32_t>> column_order(const ModuleTensors& tensors,
                                                   const StoredLinear& stored) {
    const TensorView* const view = tensors.find("weight_g_idx");
    if (view == nullptr) return std::vector<int32_t>();
    std::vector<int32_t> group_of(stored.K);
    std::memcpy(group_of.data(), view->data.data(), view->data.size());
    // -1: a file of the time before activation order was known.
    if (std::all_of(group_of.begin(), group_of.end(),
                    [](int32_t group) { return group == -1; })) {
      return std::vector<int32_t>();
    }
    return order_of_groups(group_of, stored.choice.group_size)
        .annotate("tensor " + view->name);
  }

  static void read_packed(const ModuleTensors& tensors, uint32_t bits,
                          const std::vector<int32_t>& order,
                          format::WeightData* weight) {
    const TensorView& codes = *tensors.find("weight_packed");
    const uint32_t per_word = 32 / bits;
    const uint32_t mask = (1U << bits) - 1;
    const uint32_t words = (weight->K + per_word - 1) / per_word;
    format::Plane& plane = *weight->find(TSR_PLANE_CODES);
    for (uint32_t n = 0; n < weight->N; ++n) {
      for (uint32_t k = 0; k < weight->K; ++k) {
        const uint32_t from =
            order.empty() ? k : static_cast<uint32_t>(order[k]);
        const uint32_t packed =
            word(codes, size_t{n} * words + from / per_word);
        store_code(plane, n, k, packed >> (from % per_word * bits) & mask);
      }
    }
    format::Plane* const zeros = weight->find(TSR_PLANE_ZERO_POINT);
    if (zeros == nullptr) return;
    const TensorView& stored = *tensors.find("weight_zero_point");
    for (uint32_t n = 0; n < zeros->rows; ++n) {
      for (uint32_t group = 0; group < zeros->cols; ++group) {
        const uint32_t packed =
            word(stored, size_t{n / per_word} * zeros->cols + group);
        store_code(*zeros, n, group, packed >> (n % per_word * bits) & mask);
      }
    }
  }

  // int-quantized: one signed code a byte, also of 4 bits.
  static Status read_bytes(const ModuleTensors& tensors, uint32_t bits,
                           format::WeightData* weight) {
    const int32_t middle = 1 << (bits - 1);
    const auto copy = [&](const std::string& part,
                          format::Plane& plane) -> Status {
      const TensorView& view = *tensors.find(part);
      for (uint32_t row = 0; row < plane.rows; ++row) {
        for (uint32_t col = 0; col < plane.cols; ++col) {
          const int32_t code{format::load_element<int8_t>(
              view.data.data(), size_t{row} * plane.cols + col)};
          if (code < -middle || code >= middle) {
            return tensors.error(
                part, fmt::format("code {} has more than {} bits", code, bits));
          }
          store_code(plane, row, col, static_cast<uint32_t>(code + middle));
        }
      }
      return {};
    };
    TSR_RETURN_IF_ERROR(copy("weight", *weight->find(TSR_PLANE_CODES)));
    format::Plane* const zeros = weight->find(TSR_PLANE_ZERO_POINT);
    return zeros == nullptr ? Status() : copy("weight_zero_point", *zeros);
  }

  std::vector<CompressedGroup> groups_;
};

}  // namespace

Result<std::unique_ptr<QuantizedLayout>> make_compressed_tensors_layout(
    const JsonObject& config) {
  TSR_ASSIGN_OR_RETURN(std::vector<CompressedGroup> groups,
                       read_compressed_groups(config));
  return std::unique_ptr<QuantizedLayout>(
      std::make_unique<CompressedTensorsLayout>(std::move(groups)));
}

}  // namespace tessera
