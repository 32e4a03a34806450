// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/weight_loader.hpp"

#include <fmt/format.h>

#include <cstring>

#include "framework/base/mapped_file.hpp"
#include "framework/runtime/round_weight.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tensor/half.hpp"

namespace tessera {
namespace {

// The weight format that stores plain numbers of that dtype; 0 for others.
uint32_t dense_format(uint32_t dtype) {
  switch (dtype) {
    case TSR_F32:
      return TSR_WEIGHT_F32;
    case TSR_F16:
      return TSR_WEIGHT_F16;
    case TSR_BF16:
      return TSR_WEIGHT_BF16;
    default:
      return 0;
  }
}

// The rows of the file's tensor that are the weight's.
Result<SourceTensor> read_rows(const GraphWeight& weight,
                               const WeightSource& source) {
  TSR_ASSIGN_OR_RETURN(SourceTensor tensor, source.tensor(weight.source));
  const bool is_part = weight.source_rows != 0;
  const uint32_t num_rows = is_part ? weight.source_rows : weight.N;
  const uint64_t elements = uint64_t{num_rows} * weight.K;
  if (dense_format(tensor.dtype) == 0 ||
      tensor.bytes.size() != dtype_bytes(tensor.dtype, elements)) {
    return Status(
        TSR_INVALID_ARGUMENT,
        fmt::format("{}: {} bytes of {}, not [{}, {}] of a float type",
                    weight.source, tensor.bytes.size(),
                    dtype_name(tensor.dtype), num_rows, weight.K));
  }
  if (is_part) {
    const uint64_t row_bytes = dtype_bytes(tensor.dtype, weight.K);
    tensor.bytes = tensor.bytes.subspan(weight.first_row * row_bytes,
                                        weight.N * row_bytes);
  }
  return tensor;
}

// Parts are rounded as the whole is only where rows are rounded each by itself.
Status check_part(const GraphWeight& weight, const LinearChoice& choice) {
  if (weight.source_rows == 0) return {};
  if (weight.stored == choice) {
    return {TSR_UNIMPLEMENTED,
            weight.source +
                ": a weight that is quantized in its file is not divided over "
                "devices"};
  }
  if (choice.format == TSR_WEIGHT_NVFP4) {
    return {TSR_UNIMPLEMENTED,
            weight.source +
                ": a weight with one scale for all its rows (nvfp4) is not "
                "divided over devices"};
  }
  return {};
}

void widen_row(const SourceTensor& tensor, uint64_t first,
               std::span<float> out_row) {
  if (tensor.dtype == TSR_F32) {
    std::memcpy(out_row.data(), tensor.bytes.data() + first * sizeof(float),
                out_row.size_bytes());
    return;
  }
  const std::byte* from = tensor.bytes.data() + first * sizeof(uint16_t);
  for (size_t i = 0; i < out_row.size(); ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, from + i * sizeof(bits), sizeof(bits));
    out_row[i] = tensor.dtype == TSR_F16 ? f16_to_f32(bits) : bf16_to_f32(bits);
  }
}

}  // namespace

Result<format::WeightData> read_weight(const GraphWeight& weight,
                                       const LinearChoice& choice,
                                       const WeightSource& source,
                                       ThreadPool* pool) {
  TSR_RETURN_IF_ERROR(check_part(weight, choice));
  if (weight.stored == choice) return source.stored(weight.source);
  if (has_static_activations(choice.act_quant)) {
    return Status(TSR_FAILED_PRECONDITION,
                  fmt::format("{}: static activations need scales from "
                              "calibration, which the file has not; quantize "
                              "the model with this scheme first",
                              weight.source));
  }
  TSR_ASSIGN_OR_RETURN(const SourceTensor tensor, read_rows(weight, source));
  if (dense_format(tensor.dtype) == choice.format && tensor.owner == nullptr) {
    return format::borrow_dense_weight(choice.format, weight.N, weight.K,
                                       tensor.bytes);
  }
  format::WeightScheme scheme;
  scheme.format = choice.format;
  scheme.group_size = choice.group_size;
  scheme.symmetric = choice.symmetric;
  return round_weight(
      scheme, weight.N, weight.K,
      [&](uint32_t n, std::span<float> out_row) -> Status {
        widen_row(tensor, uint64_t{n} * weight.K, out_row);
        return {};
      },
      pool);
}

Result<LoadedWeight> load_weight(Device& device, const GraphWeight& weight,
                                 const LinearChoice& choice,
                                 const WeightSource& source,
                                 RoundedWeights* rounded) {
  RoundedWeights none(0);
  RoundedWeights& from = rounded == nullptr ? none : *rounded;
  TSR_ASSIGN_OR_RETURN(
      std::shared_ptr<const format::WeightData> kept,
      from.read(weight, choice, source, &device.plugin().pool()));
  const format::WeightView view = kept->view();
  TSR_ASSIGN_OR_RETURN(Weight loaded, device.load_weight(view.desc()));
  const uint64_t bytes = loaded.packed_bytes();
  if (loaded.in_place()) {
    from.forget(weight, choice);
  } else {
    // The device has its own: the file need not be in memory as well.
    for (const format::Plane& plane : kept->planes) {
      release_mapped(plane.bytes());
    }
    kept.reset();
  }
  return LoadedWeight{std::move(kept), std::move(loaded), bytes};
}

}  // namespace tessera
