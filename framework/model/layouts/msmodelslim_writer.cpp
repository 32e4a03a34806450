// SPDX-License-Identifier: Apache-2.0
//
// The other direction: planes into msModelSlim's tensors.

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>
#include <utility>

#include "framework/format/element.hpp"
#include "framework/model/layouts/msmodelslim_layout.hpp"
#include "framework/model/layouts/msmodelslim_sparse.hpp"
#include "tessera/ops.h"

namespace tessera {
namespace {

Status unimplemented(const std::string& module, const std::string& what) {
  return {TSR_UNIMPLEMENTED, fmt::format("{}: {}", module, what)};
}

double plane_value(const format::Plane& plane, uint64_t index) {
  return format::element_value(plane.dtype, plane.bytes().data(), index);
}

// Floats of a type that the file has for them.
NamedTensor float_tensor(std::string name, uint32_t dtype,
                         std::vector<uint64_t> shape,
                         std::span<const float> values) {
  NamedTensor tensor{{std::move(name), dtype, std::move(shape)}, {}};
  tensor.bytes.resize(values.size() * (dtype == TSR_F32 ? 4 : 2));
  for (size_t i = 0; i < values.size(); ++i) {
    format::set_element_value(dtype, tensor.bytes.data(), i, values[i]);
  }
  return tensor;
}

std::vector<uint64_t> scale_shape(const format::Plane& scale) {
  if (scale.cols == 1) return {scale.rows};
  return {scale.rows, scale.cols};
}

class LinearWriter {
 public:
  LinearWriter(const std::string& module, const format::WeightData& weight,
               uint32_t activation_dtype)
      : module_(module),
        weight_(weight),
        codes_(*weight.find(TSR_PLANE_CODES)),
        scale_(*weight.find(TSR_PLANE_SCALE)),
        activation_dtype_(activation_dtype) {}

  void put_codes() {
    const auto bytes = codes_.bytes();
    std::vector<std::byte> codes(bytes.begin(), bytes.end());
    if (weight_.format == TSR_WEIGHT_U4) {
      for (std::byte& pair : codes) pair ^= std::byte{0x88};
    }
    const uint32_t dtype =
        weight_.format == TSR_WEIGHT_F8E4M3 ? TSR_F8E4M3 : TSR_I8;
    const std::vector<uint64_t> shape = {weight_.N, codes.size() / weight_.N};
    tensors_.push_back({{module_ + ".weight", dtype, shape}, std::move(codes)});
  }

  void put_scales() {
    const uint64_t count = uint64_t{scale_.rows} * scale_.cols;
    std::vector<float> scales(count);
    std::vector<float> offsets(count, 0.0f);
    const format::Plane* const zeros = weight_.find(TSR_PLANE_ZERO_POINT);
    for (uint64_t i = 0; i < count; ++i) {
      scales[i] = static_cast<float>(plane_value(scale_, i));
      if (zeros != nullptr) {
        offsets[i] = static_cast<float>(plane_value(*zeros, i) -
                                        code_offset(weight_.format));
      }
    }
    const auto shape = scale_shape(scale_);
    tensors_.push_back(
        float_tensor(module_ + ".weight_scale", TSR_F32, shape, scales));
    tensors_.push_back(
        float_tensor(module_ + ".weight_offset", TSR_F32, shape, offsets));
  }

  void put_scale_bias() {
    const std::vector<float> zeros(weight_.N, 0.0f);
    tensors_.push_back(
        float_tensor(module_ + ".scale_bias", TSR_F32, {weight_.N}, zeros));
  }

  Status put_static(std::span<const float> bias) {
    const format::Plane* const act = weight_.find(TSR_PLANE_ACT_SCALE);
    if (act == nullptr) return unimplemented(module_, "no static input scale");
    const format::Plane* const zero = weight_.find(TSR_PLANE_ACT_ZERO_POINT);
    const auto offset =
        static_cast<float>(zero == nullptr ? 0.0 : plane_value(*zero, 0));
    const auto exact = static_cast<float>(plane_value(*act, 0));
    NamedTensor scale = float_tensor(module_ + ".input_scale",
                                     activation_dtype_, {1}, {&exact, 1});
    // What readers will have, so that deq_scale fits it.
    const auto rounded = static_cast<float>(
        format::element_value(activation_dtype_, scale.bytes.data(), 0));
    if (!(rounded > 0.0f) || !std::isfinite(rounded)) {
      return {
          TSR_INVALID_ARGUMENT,
          fmt::format("{}: input scale {} does not fit f16", module_, exact)};
    }
    tensors_.push_back(std::move(scale));
    tensors_.push_back(float_tensor(module_ + ".input_offset",
                                    activation_dtype_, {1}, {&offset, 1}));
    return put_products(rounded, static_cast<int32_t>(offset), bias);
  }

  std::vector<NamedTensor> take() { return std::move(tensors_); }

 private:
  Status put_products(float input_scale, int32_t zero_point,
                      std::span<const float> bias) {
    std::vector<float> products(weight_.N);
    std::vector<int64_t> bits(weight_.N);
    std::vector<int32_t> quant_bias(weight_.N);
    for (uint32_t n = 0; n < weight_.N; ++n) {
      const auto scale =
          static_cast<float>(plane_value(scale_, scale_.rows == 1 ? 0 : n));
      products[n] = input_scale * scale;
      bits[n] = std::bit_cast<uint32_t>(products[n]);
      int64_t sum = 0;
      for (uint32_t k = 0; k < weight_.K; ++k) {
        sum += format::load_element<int8_t>(codes_.row(n), k);
      }
      double value = -static_cast<double>(zero_point * sum);
      if (!bias.empty()) {
        value += std::nearbyint(double{bias[n]} / double{products[n]});
      }
      if (!(std::abs(value) <= INT32_MAX)) {
        return {TSR_INVALID_ARGUMENT,
                fmt::format("{}: bias {} of row {} does not fit quant_bias",
                            module_, bias.empty() ? 0.0f : bias[n], n)};
      }
      quant_bias[n] = static_cast<int32_t>(value);
    }
    const std::string name = module_ + ".deq_scale";
    const std::vector<uint64_t> shape = {weight_.N};
    tensors_.push_back(
        activation_dtype_ == TSR_F16
            ? make_tensor<int64_t>(name, TSR_I64, shape, bits)
            : make_tensor<float>(name, TSR_F32, shape, products));
    tensors_.push_back(make_tensor<int32_t>(module_ + ".quant_bias", TSR_I32,
                                            shape, quant_bias));
    return {};
  }

  const std::string& module_;
  const format::WeightData& weight_;
  const format::Plane& codes_;
  const format::Plane& scale_;
  uint32_t activation_dtype_;
  std::vector<NamedTensor> tensors_;
};

Status check_parts(const std::string& module,
                   const format::WeightData& weight) {
  if (weight.find(TSR_PLANE_PERMUTATION) != nullptr) {
    return unimplemented(module,
                         "msModelSlim has no column order; quantize without "
                         "activation order");
  }
  if (weight.find(TSR_PLANE_INPUT_MULTIPLIER) != nullptr ||
      weight.find(TSR_PLANE_SCALE2) != nullptr) {
    return unimplemented(module, "msModelSlim cannot hold this weight");
  }
  const bool nibbles =
      weight.format == TSR_WEIGHT_U4 || weight.format == TSR_WEIGHT_I4;
  if (nibbles && weight.K % 2 != 0) {
    return unimplemented(module, fmt::format("K={} is odd", weight.K));
  }
  return {};
}

// Compressed codes beside what a dense static weight of them has.
Result<std::vector<NamedTensor>> write_sparse(const std::string& module,
                                              const format::WeightData& weight,
                                              uint32_t activation_dtype,
                                              std::span<const float> bias) {
  TSR_ASSIGN_OR_RETURN(
      SparseTensors sparse,
      write_msmodelslim_sparse(module, weight).annotate(module));
  LinearWriter writer(module, sparse.dense, activation_dtype);
  TSR_RETURN_IF_ERROR(writer.put_static(bias));
  std::vector<NamedTensor> tensors = writer.take();
  std::move(sparse.tensors.begin(), sparse.tensors.end(),
            std::back_inserter(tensors));
  return tensors;
}

}  // namespace

Result<std::string> msmodelslim_type(const LinearChoice& choice) {
  const auto is = [&](uint32_t format, uint32_t act_quant) {
    return choice.format == format && choice.act_quant == act_quant;
  };
  if (is(TSR_WEIGHT_I8, TSR_ACT_I8_STATIC)) return std::string("W8A8");
  if (is(TSR_WEIGHT_SPARSE_FIXED, TSR_ACT_I8_STATIC)) {
    return std::string("W8A8SC");
  }
  if (is(TSR_WEIGHT_I8, TSR_ACT_I8_MIX)) return std::string("W8A8_MIX");
  if (is(TSR_WEIGHT_I8, TSR_ACT_I8_DYNAMIC)) return std::string("W8A8_DYNAMIC");
  if (is(TSR_WEIGHT_I8, TSR_ACT_FLOAT)) return std::string("W8A16");
  if (is(TSR_WEIGHT_U4, TSR_ACT_FLOAT)) return std::string("W4A16");
  if (is(TSR_WEIGHT_I4, TSR_ACT_I8_DYNAMIC)) return std::string("W4A8_DYNAMIC");
  if (is(TSR_WEIGHT_I4, TSR_ACT_I4_DYNAMIC)) return std::string("W4A4_DYNAMIC");
  if (is(TSR_WEIGHT_F8E4M3, TSR_ACT_F8_DYNAMIC)) {
    return std::string("WFP8AFP8_DYNAMIC");
  }
  return Status(TSR_UNIMPLEMENTED,
                fmt::format("msModelSlim has no type for {} weights with these "
                            "activations",
                            format::weight_format_name(choice.format)));
}

Result<std::vector<NamedTensor>> write_msmodelslim_linear(
    const std::string& module, const format::WeightData& weight,
    const LinearChoice& choice, uint32_t activation_dtype,
    std::span<const float> bias) {
  TSR_RETURN_IF_ERROR(msmodelslim_type(choice).status().annotate(module));
  TSR_RETURN_IF_ERROR(check_parts(module, weight));
  if (weight.format == TSR_WEIGHT_SPARSE_FIXED) {
    return write_sparse(module, weight, activation_dtype, bias);
  }
  LinearWriter writer(module, weight, activation_dtype);
  writer.put_codes();
  if (choice.act_quant != TSR_ACT_I8_STATIC) writer.put_scales();
  if (choice.format == TSR_WEIGHT_I4 &&
      choice.act_quant == TSR_ACT_I8_DYNAMIC) {
    writer.put_scale_bias();
  }
  if (choice.act_quant == TSR_ACT_I8_STATIC ||
      choice.act_quant == TSR_ACT_I8_MIX) {
    TSR_RETURN_IF_ERROR(writer.put_static(bias));
  }
  return writer.take();
}

}  // namespace tessera
