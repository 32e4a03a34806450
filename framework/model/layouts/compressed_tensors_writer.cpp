// SPDX-License-Identifier: Apache-2.0

#include "framework/model/layouts/compressed_tensors_writer.hpp"

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

using nlohmann::json;

constexpr const char* kPacked = "pack-quantized";
constexpr const char* kIntegers = "int-quantized";
constexpr const char* kFloats = "float-quantized";
constexpr const char* kNvfp4 = "nvfp4-pack-quantized";
constexpr const char* kMxfp4 = "mxfp4-pack-quantized";
constexpr const char* kFp4 = kCompressedFp4;

Status unimplemented(const std::string& what) {
  return {TSR_UNIMPLEMENTED, what};
}

uint32_t bits_of(uint32_t format) {
  switch (format) {
    case TSR_WEIGHT_I8:
    case TSR_WEIGHT_F8E4M3:
      return 8;
    default:
      return 4;
  }
}

// Code `col` of a row plus 2^(bits - 1), as pack-quantized packs it.
uint32_t unsigned_code(const format::Plane& plane, uint32_t row, uint32_t col) {
  const std::byte* const bytes = plane.row(row);
  switch (plane.dtype) {
    case TSR_I4:
      return format::nibble(bytes, col) ^ 8U;
    case TSR_U4:
      return format::nibble(bytes, col);
    case TSR_I8:
      return std::to_integer<uint32_t>(bytes[col]) ^ 0x80U;
    default:
      return std::to_integer<uint32_t>(bytes[col]);
  }
}

// A row whose columns stay in order: our codes lie as pack-quantized packs
// them, but for the sign.
void pack_row(const format::Plane& codes, uint32_t row, uint32_t K,
              std::span<std::byte> out_row) {
  const bool nibbles = codes.dtype == TSR_I4 || codes.dtype == TSR_U4;
  const size_t bytes = nibbles ? (size_t{K} + 1) / 2 : K;
  std::byte flip{0};
  if (codes.dtype == TSR_I4) flip = std::byte{0x88};
  if (codes.dtype == TSR_I8) flip = std::byte{0x80};
  const std::byte* const from = codes.row(row);
  for (size_t i = 0; i < bytes; ++i) out_row[i] = from[i] ^ flip;
  // Nothing stands behind the last code.
  if (nibbles && K % 2 == 1) out_row[bytes - 1] &= std::byte{0x0F};
}

class LinearWriter {
 public:
  LinearWriter(const std::string& module, const format::WeightData& weight)
      : module_(module), weight_(weight), column_of_(columns()) {}

  void put_packed() {
    const format::Plane& codes = *weight_.find(TSR_PLANE_CODES);
    const uint32_t bits = bits_of(weight_.format);
    const uint64_t words = (uint64_t{weight_.K} * bits + 31) / 32;
    std::vector<uint32_t> packed(size_t{weight_.N} * words);
    for (uint32_t n = 0; n < weight_.N; ++n) {
      const auto row = std::span(packed).subspan(size_t{n} * words, words);
      if (weight_.find(TSR_PLANE_PERMUTATION) == nullptr) {
        pack_row(codes, n, weight_.K, std::as_writable_bytes(row));
      } else {
        pack_permuted_row(codes, n, bits, row);
      }
    }
    put<uint32_t>("weight_packed", TSR_I32, {weight_.N, words}, packed);
    const int64_t shape[] = {weight_.N, weight_.K};
    put<int64_t>("weight_shape", TSR_I64, {2}, shape);
    put_plane("weight_scale", *weight_.find(TSR_PLANE_SCALE));
    put_packed_zeros(bits);
    put_groups();
  }

  void put_bytes() {
    put_plane("weight", *weight_.find(TSR_PLANE_CODES));
    put_plane("weight_scale", *weight_.find(TSR_PLANE_SCALE));
    if (const auto* zeros = weight_.find(TSR_PLANE_ZERO_POINT)) {
      put_plane("weight_zero_point", *zeros);
    }
  }

  Status put_fp4() {
    const bool nvfp4 = weight_.format == TSR_WEIGHT_NVFP4;
    TSR_ASSIGN_OR_RETURN(
        format::Fp4Bytes bytes,
        format::write_fp4(nvfp4 ? format::Fp4Layout::kNvfp4CompressedTensors
                                : format::Fp4Layout::kMxfp4CompressedTensors,
                          weight_));
    const uint32_t group = nvfp4 ? 16 : 32;
    put<std::byte>("weight_packed", TSR_U8, {weight_.N, weight_.K / 2},
                   bytes.codes);
    put<std::byte>("weight_scale", nvfp4 ? TSR_F8E4M3 : TSR_U8,
                   {weight_.N, weight_.K / group}, bytes.scales);
    if (nvfp4) {
      put<float>("weight_global_scale", TSR_F32, {1}, {&bytes.tensor_scale, 1});
    }
    return {};
  }

  void put_plain_fp4() {
    put<std::byte>("weight_packed", TSR_U8, {weight_.N, weight_.K / 2},
                   weight_.find(TSR_PLANE_CODES)->bytes());
    put_plane("weight_scale", *weight_.find(TSR_PLANE_SCALE));
  }

  // True if the activations have a zero point.
  bool put_static() {
    const format::Plane& scale = *weight_.find(TSR_PLANE_ACT_SCALE);
    put<std::byte>("input_scale", TSR_F32, {1}, scale.bytes());
    const format::Plane* const zero = weight_.find(TSR_PLANE_ACT_ZERO_POINT);
    if (zero == nullptr) return false;
    const auto value = static_cast<int8_t>(
        format::load_element<int32_t>(zero->bytes().data(), 0));
    put<int8_t>("input_zero_point", TSR_I8, {1}, {&value, 1});
    return true;
  }

  std::vector<NamedTensor> take() { return std::move(tensors_); }

 private:
  template <typename T>
  void put(const char* part, uint32_t dtype, std::vector<uint64_t> shape,
           std::span<const T> values) {
    tensors_.push_back(
        make_tensor<T>(module_ + "." + part, dtype, std::move(shape), values));
  }

  void put_plane(const char* part, const format::Plane& plane) {
    std::vector<uint64_t> shape = {plane.rows, plane.cols};
    if (plane.block_n != 0 && plane.rows == 1 && plane.cols == 1) shape = {1};
    put<std::byte>(part, plane.dtype, std::move(shape), plane.bytes());
  }

  // Where each column of the planes stands in the file: at its input feature.
  std::vector<uint32_t> columns() const {
    std::vector<uint32_t> result(weight_.K);
    const format::Plane* const order = weight_.find(TSR_PLANE_PERMUTATION);
    for (uint32_t k = 0; k < weight_.K; ++k) {
      result[k] = order == nullptr ? k
                                   : format::load_element<uint32_t>(
                                         order->bytes().data(), k);
    }
    return result;
  }

  void pack_permuted_row(const format::Plane& codes, uint32_t row,
                         uint32_t bits, std::span<uint32_t> out_row) const {
    const uint32_t per_word = 32 / bits;
    for (uint32_t k = 0; k < weight_.K; ++k) {
      const uint32_t to = column_of_[k];
      out_row[to / per_word] |= unsigned_code(codes, row, k)
                                << (to % per_word * bits);
    }
  }

  void put_packed_zeros(uint32_t bits) {
    const format::Plane* const zeros = weight_.find(TSR_PLANE_ZERO_POINT);
    if (zeros == nullptr) return;
    const uint32_t per_word = 32 / bits;
    const uint32_t words = (zeros->rows + per_word - 1) / per_word;
    std::vector<uint32_t> packed(size_t{words} * zeros->cols);
    for (uint32_t n = 0; n < zeros->rows; ++n) {
      for (uint32_t group = 0; group < zeros->cols; ++group) {
        packed[size_t{n / per_word} * zeros->cols + group] |=
            unsigned_code(*zeros, n, group) << (n % per_word * bits);
      }
    }
    put<uint32_t>("weight_zero_point", TSR_I32, {words, zeros->cols}, packed);
  }

  void put_groups() {
    if (weight_.find(TSR_PLANE_PERMUTATION) == nullptr) return;
    const uint32_t group_size = weight_.find(TSR_PLANE_SCALE)->block_k;
    std::vector<int32_t> group_of(weight_.K);
    for (uint32_t k = 0; k < weight_.K; ++k) {
      group_of[column_of_[k]] = static_cast<int32_t>(k / group_size);
    }
    put<int32_t>("weight_g_idx", TSR_I32, {weight_.K}, group_of);
  }

  const std::string& module_;
  const format::WeightData& weight_;
  std::vector<uint32_t> column_of_;  // where each of our columns goes
  std::vector<NamedTensor> tensors_;
};

Status check_planes(const format::WeightData& weight,
                    const LinearChoice& choice, const std::string& format) {
  if (weight.find(TSR_PLANE_INPUT_MULTIPLIER) != nullptr ||
      weight.find(TSR_PLANE_QUANT_BIAS) != nullptr ||
      (weight.find(TSR_PLANE_SCALE2) != nullptr && format != kNvfp4)) {
    return unimplemented(
        "compressed-tensors cannot hold a plane of this "
        "weight");
  }
  if (weight.find(TSR_PLANE_PERMUTATION) != nullptr && format != kPacked) {
    return unimplemented(format + " has no column order");
  }
  if (choice.act_quant == TSR_ACT_I8_STATIC &&
      weight.find(TSR_PLANE_ACT_SCALE) == nullptr) {
    return {TSR_INVALID_ARGUMENT, "no static input scale"};
  }
  return {};
}

// ---- The config ------------------------------------------------------------

json arguments(uint32_t bits, const char* type, const char* strategy) {
  return {{"num_bits", bits},      {"type", type},
          {"symmetric", true},     {"strategy", strategy},
          {"group_size", nullptr}, {"block_structure", nullptr},
          {"dynamic", false},      {"actorder", nullptr},
          {"observer", "minmax"},  {"observer_kwargs", json::object()}};
}

json weight_arguments(const CompressedLinear& linear) {
  const LinearChoice& choice = linear.choice;
  const bool is_float = choice.format == TSR_WEIGHT_F8E4M3 ||
                        choice.format == TSR_WEIGHT_F4E2M1 ||
                        choice.format == TSR_WEIGHT_NVFP4 ||
                        choice.format == TSR_WEIGHT_MXFP4;
  const char* strategy = "channel";
  if (linear.per_tensor) strategy = "tensor";
  if (choice.group_size != 0) strategy = "group";
  if (choice.format == TSR_WEIGHT_NVFP4) strategy = "tensor_group";
  json result =
      arguments(bits_of(choice.format), is_float ? "float" : "int", strategy);
  result["symmetric"] = choice.symmetric;
  if (choice.group_size != 0) result["group_size"] = choice.group_size;
  if (linear.has_column_order) result["actorder"] = "group";
  return result;
}

json input_arguments(const CompressedLinear& linear) {
  json result;
  switch (linear.choice.act_quant) {
    case TSR_ACT_I8_STATIC:
      result = arguments(8, "int", "tensor");
      result["symmetric"] = linear.symmetric_input;
      return result;
    case TSR_ACT_I8_DYNAMIC:
      result = arguments(8, "int", "token");
      break;
    case TSR_ACT_I4_DYNAMIC:
      result = arguments(4, "int", "token");
      break;
    case TSR_ACT_F8_DYNAMIC:
      result = arguments(8, "float", "token");
      break;
    default:
      return nullptr;
  }
  result["dynamic"] = true;
  result["observer"] = nullptr;
  return result;
}

}  // namespace

Result<std::string> compressed_format(const LinearChoice& choice) {
  const uint32_t act = choice.act_quant;
  const bool integer_input = act == TSR_ACT_I8_DYNAMIC ||
                             act == TSR_ACT_I8_STATIC ||
                             act == TSR_ACT_I4_DYNAMIC;
  switch (choice.format) {
    case TSR_WEIGHT_I8:
      if (integer_input) return std::string(kIntegers);
      if (act == TSR_ACT_FLOAT) return std::string(kPacked);
      break;
    case TSR_WEIGHT_U4:
    case TSR_WEIGHT_I4:
      if (integer_input || act == TSR_ACT_FLOAT) return std::string(kPacked);
      break;
    case TSR_WEIGHT_F8E4M3:
      if (act == TSR_ACT_FLOAT || act == TSR_ACT_F8_DYNAMIC) {
        return std::string(kFloats);
      }
      break;
    case TSR_WEIGHT_NVFP4:
      if (act == TSR_ACT_FLOAT) return std::string(kNvfp4);
      break;
    case TSR_WEIGHT_MXFP4:
      if (act == TSR_ACT_FLOAT) return std::string(kMxfp4);
      break;
    case TSR_WEIGHT_F4E2M1:
      if (act == TSR_ACT_FLOAT && choice.group_size != 0) {
        return std::string(kFp4);
      }
      break;
    default:
      break;
  }
  return unimplemented(
      fmt::format("compressed-tensors has no format for {} weights with these "
                  "activations",
                  format::weight_format_name(choice.format)));
}

Result<CompressedTensors> write_compressed_linear(
    const std::string& module, const format::WeightData& weight,
    const LinearChoice& choice) {
  TSR_ASSIGN_OR_RETURN(const std::string format,
                       compressed_format(choice).annotate(module));
  TSR_RETURN_IF_ERROR(check_planes(weight, choice, format).annotate(module));
  CompressedTensors result;
  result.linear.choice = choice;
  LinearWriter writer(module, weight);
  if (format == kPacked) {
    writer.put_packed();
  } else if (format == kNvfp4 || format == kMxfp4) {
    TSR_RETURN_IF_ERROR(writer.put_fp4().annotate(module));
  } else if (format == kFp4) {
    writer.put_plain_fp4();
  } else {
    writer.put_bytes();
  }
  if (choice.act_quant == TSR_ACT_I8_STATIC) {
    result.linear.symmetric_input = !writer.put_static();
  }
  const format::Plane& scale = *weight.find(TSR_PLANE_SCALE);
  result.linear.per_tensor = scale.rows == 1 && weight.N > 1;
  result.linear.has_column_order =
      weight.find(TSR_PLANE_PERMUTATION) != nullptr;
  result.tensors = writer.take();
  return result;
}

json compressed_config(const std::map<std::string, CompressedLinear>& linears,
                       const std::vector<std::string>& ignored) {
  std::vector<std::pair<CompressedLinear, json>> groups;  // and their targets
  for (const auto& [module, linear] : linears) {
    auto group = std::find_if(
        groups.begin(), groups.end(),
        [&wanted = linear](const auto& g) { return g.first == wanted; });
    if (group == groups.end()) {
      groups.emplace_back(linear, json::array());
      group = groups.end() - 1;
    }
    group->second.push_back(module);
  }
  json listed = json::object();
  std::string format;
  for (size_t i = 0; i < groups.size(); ++i) {
    const CompressedLinear& linear = groups[i].first;
    const std::string own = *compressed_format(linear.choice);
    format = format.empty() || format == own ? own : "mixed-precision";
    listed["group_" + std::to_string(i)] = {
        {"targets", groups.size() == 1 ? json({"Linear"}) : groups[i].second},
        {"weights", weight_arguments(linear)},
        {"input_activations", input_arguments(linear)},
        {"output_activations", nullptr},
        {"format", own}};
  }
  return {{"quant_method", "compressed-tensors"},
          {"format", format},
          {"quantization_status", "compressed"},
          {"global_compression_ratio", nullptr},
          {"kv_cache_scheme", nullptr},
          {"config_groups", listed},
          {"ignore", ignored}};
}

}  // namespace tessera
