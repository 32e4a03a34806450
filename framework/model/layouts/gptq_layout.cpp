// SPDX-License-Identifier: Apache-2.0

#include "framework/model/layouts/gptq_layout.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <utility>

#include "framework/format/element.hpp"
#include "tessera/ops.h"

namespace tessera {
namespace {

constexpr JsonObject::Bounds kGroupSizes = {-1, INT32_MAX};
constexpr std::array<uint32_t, 8> kAwqColumns = {0, 2, 4, 6, 1, 3, 5, 7};

Status unimplemented(const JsonObject& config, const std::string& what) {
  return {TSR_UNIMPLEMENTED, config.where() + ": " + what};
}

uint32_t word(const TensorView& view, size_t index) {
  return format::load_element<uint32_t>(view.data.data(), index);
}

// Stores code or zero point `value`, 0 .. 2^bits - 1, as the format has it.
void store_code(format::Plane& plane, uint32_t row, uint32_t col,
                uint32_t value) {
  std::byte* const bytes = plane.mutable_row(row);
  switch (plane.dtype) {
    case TSR_U4:
      format::set_nibble(bytes, col, value);
      return;
    case TSR_I8:  // of 8 bits; the codes of U8 less 128
      bytes[col] = static_cast<std::byte>(value ^ 0x80U);
      return;
    default:
      bytes[col] = static_cast<std::byte>(value);
  }
}

// `scales` [groups, N] into the plane [N, groups].
void transpose_scales(const TensorView& scales, format::WeightData* weight) {
  format::Plane& plane = *weight->find(TSR_PLANE_SCALE);
  const size_t size = plane.dtype == TSR_F32 ? 4 : 2;
  for (uint32_t group = 0; group < plane.cols; ++group) {
    for (uint32_t n = 0; n < plane.rows; ++n) {
      std::memcpy(plane.mutable_row(n) + group * size,
                  scales.data.data() + (size_t{group} * plane.rows + n) * size,
                  size);
    }
  }
}

// What a group-wise int32 layout has in common.
class WordLayout : public QuantizedLayout {
 protected:
  WordLayout(uint32_t bits, uint32_t group_size, bool symmetric)
      : bits_(bits), group_size_(group_size), symmetric_(symmetric) {}

  uint32_t per_word() const { return 32 / bits_; }

  Result<std::optional<StoredLinear>> described(const ModuleTensors& tensors,
                                                uint32_t N, uint32_t K) const {
    const uint32_t groups = count_groups(K, group_size_);
    TSR_RETURN_IF_ERROR(
        tensors.get("scales", {TSR_F16, TSR_BF16, TSR_F32}, groups, N)
            .status());
    TSR_RETURN_IF_ERROR(
        tensors.get("qzeros", {TSR_I32}, groups, N / per_word()).status());
    LinearChoice choice;
    choice.format = bits_ == 4 ? TSR_WEIGHT_U4 : TSR_WEIGHT_I8;
    choice.group_size = group_size_;
    choice.symmetric = symmetric_;
    choice.act_quant = TSR_ACT_FLOAT;
    return std::optional<StoredLinear>({choice, N, K});
  }

  // A symmetric weight must have the middle of the codes.
  Status put_zero(const ModuleTensors& tensors, uint32_t n, uint32_t group,
                  uint32_t value, format::WeightData* weight) const {
    if (!symmetric_) {
      store_code(*weight->find(TSR_PLANE_ZERO_POINT), n, group, value);
      return {};
    }
    const uint32_t middle = 1U << (bits_ - 1);
    if (value == middle) return {};
    return tensors.error("qzeros",
                         fmt::format("zero point {} in a symmetric weight, "
                                     "whose zero points are {}",
                                     value, middle));
  }

  uint32_t bits_;
  uint32_t group_size_;
  bool symmetric_;
};

class GptqLayout final : public WordLayout {
 public:
  GptqLayout(uint32_t bits, uint32_t group_size, bool symmetric,
             uint32_t zero_added)
      : WordLayout(bits, group_size, symmetric), zero_added_(zero_added) {}

  Result<std::optional<StoredLinear>> find(
      const ModuleTensors& tensors) const override {
    if (tensors.find("qweight") == nullptr)
      return std::optional<StoredLinear>();
    TSR_ASSIGN_OR_RETURN(const TensorView* const codes,
                         tensors.get("qweight", {TSR_I32}));
    TSR_ASSIGN_OR_RETURN(const auto shape, matrix_shape(*codes));
    const auto [words, N] = shape;
    if (words > uint32_t{INT32_MAX} / per_word() || N % per_word() != 0) {
      return tensors.error("qweight", "shape " + shape_text(codes->shape) +
                                          " is not that of whole words");
    }
    const uint32_t K = words * per_word();
    if (tensors.find("g_idx") != nullptr) {
      TSR_RETURN_IF_ERROR(tensors.get("g_idx", {TSR_I32}, K, 1).status());
    }
    return described(tensors, N, K);
  }

  Result<format::WeightData> read(const ModuleTensors& tensors,
                                  const StoredLinear& stored) const override {
    const TensorView& scales = *tensors.find("scales");
    format::WeightData weight =
        make_integer_weight(stored, scales.dtype, stored.N);
    TSR_ASSIGN_OR_RETURN(const std::vector<int32_t> order,
                         column_order(tensors, stored.K));
    read_codes(*tensors.find("qweight"), order, &weight);
    transpose_scales(scales, &weight);
    TSR_RETURN_IF_ERROR(read_zeros(tensors, &weight));
    add_permutation(order, &weight);
    return weight;
  }

 private:
  Result<std::vector<int32_t>> column_order(const ModuleTensors& tensors,
                                            uint32_t K) const {
    const TensorView* const view = tensors.find("g_idx");
    if (view == nullptr) return std::vector<int32_t>();
    std::vector<int32_t> group_of(K);
    std::memcpy(group_of.data(), view->data.data(), view->data.size());
    return order_of_groups(group_of, group_size_)
        .annotate("tensor " + view->name);
  }

  void read_codes(const TensorView& codes, const std::vector<int32_t>& order,
                  format::WeightData* weight) const {
    format::Plane& plane = *weight->find(TSR_PLANE_CODES);
    const uint32_t mask = (1U << bits_) - 1;
    for (uint32_t k = 0; k < weight->K; ++k) {
      const uint32_t from = order.empty() ? k : static_cast<uint32_t>(order[k]);
      const size_t row = size_t{from / per_word()} * weight->N;
      const uint32_t shift = from % per_word() * bits_;
      for (uint32_t n = 0; n < weight->N; ++n) {
        store_code(plane, n, k, word(codes, row + n) >> shift & mask);
      }
    }
  }

  Status read_zeros(const ModuleTensors& tensors,
                    format::WeightData* weight) const {
    const TensorView& zeros = *tensors.find("qzeros");
    const uint32_t groups = count_groups(weight->K, group_size_);
    const uint32_t mask = (1U << bits_) - 1;
    const uint32_t words = weight->N / per_word();
    for (uint32_t group = 0; group < groups; ++group) {
      for (uint32_t n = 0; n < weight->N; ++n) {
        const uint32_t packed =
            word(zeros, size_t{group} * words + n / per_word());
        const uint32_t value =
            ((packed >> (n % per_word() * bits_)) + zero_added_) & mask;
        TSR_RETURN_IF_ERROR(put_zero(tensors, n, group, value, weight));
      }
    }
    return {};
  }

  uint32_t zero_added_;
};

class AwqLayout final : public WordLayout {
 public:
  AwqLayout(uint32_t group_size, bool symmetric)
      : WordLayout(4, group_size, symmetric) {}

  Result<std::optional<StoredLinear>> find(
      const ModuleTensors& tensors) const override {
    if (tensors.find("qweight") == nullptr)
      return std::optional<StoredLinear>();
    TSR_ASSIGN_OR_RETURN(const TensorView* const codes,
                         tensors.get("qweight", {TSR_I32}));
    TSR_ASSIGN_OR_RETURN(const auto shape, matrix_shape(*codes));
    const auto [K, words] = shape;
    if (words > uint32_t{INT32_MAX} / per_word()) {
      return tensors.error(
          "qweight", "shape " + shape_text(codes->shape) + " is too large");
    }
    return described(tensors, words * per_word(), K);
  }

  Result<format::WeightData> read(const ModuleTensors& tensors,
                                  const StoredLinear& stored) const override {
    const TensorView& scales = *tensors.find("scales");
    const TensorView& codes = *tensors.find("qweight");
    const TensorView& zeros = *tensors.find("qzeros");
    format::WeightData weight =
        make_integer_weight(stored, scales.dtype, stored.N);
    const uint32_t words = stored.N / per_word();
    format::Plane& plane = *weight.find(TSR_PLANE_CODES);
    for (uint32_t k = 0; k < stored.K; ++k) {
      for (uint32_t i = 0; i < words; ++i) {
        const uint32_t packed = word(codes, size_t{k} * words + i);
        for (uint32_t place = 0; place < 8; ++place) {
          store_code(plane, i * 8 + kAwqColumns[place], k,
                     packed >> (4 * place) & 15U);
        }
      }
    }
    for (uint32_t group = 0; group < count_groups(stored.K, group_size_);
         ++group) {
      for (uint32_t place = 0; place < stored.N; ++place) {
        const uint32_t packed = word(zeros, size_t{group} * words + place / 8);
        TSR_RETURN_IF_ERROR(
            put_zero(tensors, place / 8 * 8 + kAwqColumns[place % 8], group,
                     packed >> (4 * (place % 8)) & 15U, &weight));
      }
    }
    transpose_scales(scales, &weight);
    return weight;
  }
};

Result<uint32_t> read_group_size(const JsonObject& config, const char* key) {
  TSR_ASSIGN_OR_RETURN(const int64_t group, config.integer(key, kGroupSizes));
  return group <= 0 ? 0U : static_cast<uint32_t>(group);
}

}  // namespace

Result<std::unique_ptr<QuantizedLayout>> make_gptq_layout(
    const JsonObject& config) {
  TSR_ASSIGN_OR_RETURN(const int64_t bits, config.integer("bits", {1, 32}));
  if (bits != 4 && bits != 8) {
    return unimplemented(
        config, fmt::format("bits={} of gptq is not read; 4 and 8 are", bits));
  }
  TSR_ASSIGN_OR_RETURN(const uint32_t group_size,
                       read_group_size(config, "group_size"));
  TSR_ASSIGN_OR_RETURN(const bool symmetric, config.boolean("sym", true));
  TSR_ASSIGN_OR_RETURN(const std::string format,
                       config.string("checkpoint_format", "gptq"));
  // gptq_p is gptq_v2 where the width divides 32.
  if (format != "gptq" && format != "gptq_v2" && format != "gptq_p") {
    return unimplemented(config,
                         fmt::format("checkpoint_format {} is not read; gptq "
                                     "and gptq_v2 are",
                                     format));
  }
  return std::unique_ptr<QuantizedLayout>(
      std::make_unique<GptqLayout>(static_cast<uint32_t>(bits), group_size,
                                   symmetric, format == "gptq" ? 1U : 0U));
}

Result<std::unique_ptr<QuantizedLayout>> make_awq_layout(
    const JsonObject& config) {
  TSR_ASSIGN_OR_RETURN(
      const int64_t bits,
      config.integer(config.contains("bits") ? "bits" : "w_bit", {1, 32}));
  if (bits != 4) {
    return unimplemented(config,
                         fmt::format("bits={} of awq is not read; 4 is", bits));
  }
  std::string version;
  TSR_ASSIGN_OR_RETURN(version, config.string("version", "gemm"));
  if (version != "gemm" && version != "GEMM") {
    return unimplemented(
        config, fmt::format("version {} of awq is not read; gemm is", version));
  }
  const char* const key =
      config.contains("group_size") ? "group_size" : "q_group_size";
  TSR_ASSIGN_OR_RETURN(const uint32_t group_size, read_group_size(config, key));
  TSR_ASSIGN_OR_RETURN(const bool asymmetric,
                       config.boolean("zero_point", true));
  return std::unique_ptr<QuantizedLayout>(
      std::make_unique<AwqLayout>(group_size, !asymmetric));
}

}  // namespace tessera
