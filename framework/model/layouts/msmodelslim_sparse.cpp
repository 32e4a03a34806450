// SPDX-License-Identifier: Apache-2.0

#include "framework/model/layouts/msmodelslim_sparse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "framework/format/element.hpp"
#include "framework/format/sparse/sparse_file.hpp"

namespace tessera {
namespace {

constexpr uint64_t kInfoFields = 5;

std::vector<int64_t> info_of(uint32_t N, uint32_t K) {
  return {format::kSparseTileRows, format::kSparseTileCols, K, N, 1};
}

format::WeightData dense_weight(const format::WeightData& weight,
                                std::span<const int8_t> codes) {
  format::WeightData dense{TSR_WEIGHT_I8, weight.N, weight.K, {}};
  format::Plane plane = make_plane(TSR_PLANE_CODES, TSR_I8, weight.N, weight.K);
  plane.block_n = plane.block_k = 1;
  std::memcpy(plane.owned.data(), codes.data(), codes.size());
  dense.planes.push_back(std::move(plane));
  for (const format::Plane& other : weight.planes) {
    const bool is_tiles =
        other.role == TSR_PLANE_CODES || other.role == TSR_PLANE_INDEX;
    if (!is_tiles) dense.planes.push_back(other);
  }
  return dense;
}

}  // namespace

Result<SparseTensors> write_msmodelslim_sparse(
    const std::string& module, const format::WeightData& weight) {
  TSR_ASSIGN_OR_RETURN(const std::vector<int8_t> codes,
                       format::decode_sparse_fixed(weight));
  TSR_ASSIGN_OR_RETURN(std::vector<std::byte> container,
                       format::write_sparse_file(weight.N, weight.K, codes,
                                                 format::SparseCode::kEntropy));
  TSR_ASSIGN_OR_RETURN(const format::SparseFile file,
                       format::read_sparse_file(container, module, {}));
  SparseTensors result;
  result.dense = dense_weight(weight, codes);
  const uint64_t size = container.size();
  result.tensors.push_back(
      {{module + ".weight", TSR_I8, {size}}, std::move(container)});
  const auto index = std::as_bytes(std::span(file.tiles.index));
  result.tensors.push_back({{module + ".index", TSR_I8, {index.size()}},
                            {index.begin(), index.end()}});
  const std::vector<int64_t> info = info_of(weight.N, weight.K);
  result.tensors.push_back(
      make_tensor<int64_t>(module + ".info", TSR_I64, {kInfoFields}, info));
  const format::Plane& scale = *weight.find(TSR_PLANE_SCALE);
  result.tensors.push_back(
      {{module + ".weight_scale", scale.dtype, {uint64_t{scale.rows}}},
       {scale.bytes().begin(), scale.bytes().end()}});
  return result;
}

Result<std::pair<uint32_t, uint32_t>> msmodelslim_sparse_shape(
    const ModuleTensors& tensors) {
  for (const char* part : {"weight", "index"}) {
    TSR_ASSIGN_OR_RETURN(const TensorView* const bytes,
                         tensors.get(part, {TSR_I8}));
    if (bytes->shape.size() != 1) {
      return tensors.error(part, "shape " + shape_text(bytes->shape) +
                                     " is not that of a byte stream");
    }
  }
  TSR_ASSIGN_OR_RETURN(const TensorView* const info,
                       tensors.get("info", {TSR_I64}, kInfoFields, 1));
  const auto field = [info](size_t i) {
    return format::load_element<int64_t>(info->data.data(), i);
  };
  const int64_t K = field(2);
  const int64_t N = field(3);
  if (N < 1 || N > INT32_MAX || K < 1 || K > INT32_MAX ||
      field(0) != format::kSparseTileRows ||
      field(1) != format::kSparseTileCols || field(4) != 1) {
    return tensors.error(
        "info", fmt::format("[{}, {}, {}, {}, {}] is not [{}, {}, K, N, 1]; "
                            "only streams that Tessera wrote are read",
                            field(0), field(1), K, N, field(4),
                            format::kSparseTileRows, format::kSparseTileCols));
  }
  const auto rows = static_cast<uint32_t>(N);
  TSR_RETURN_IF_ERROR(
      tensors.get("weight_scale", {TSR_F32, TSR_F16, TSR_BF16}, rows, 1)
          .status());
  return std::pair(rows, static_cast<uint32_t>(K));
}

Result<format::WeightData> read_msmodelslim_sparse(const ModuleTensors& tensors,
                                                   const StoredLinear& stored) {
  const std::string source = "tensor " + tensors.module() + ".weight";
  const auto container = tensors.find("weight")->data;
  TSR_ASSIGN_OR_RETURN(const format::SparseFile file,
                       format::read_sparse_file(container, source, {}));
  if (file.tiles.N != stored.N || file.tiles.K != stored.K) {
    return tensors.error(
        "info", fmt::format("says [{}, {}], but the stream holds [{}, {}]",
                            stored.N, stored.K, file.tiles.N, file.tiles.K));
  }
  const auto index = std::as_bytes(std::span(file.tiles.index));
  const auto beside = tensors.find("index")->data;
  if (!std::equal(index.begin(), index.end(), beside.begin(), beside.end())) {
    return tensors.error("index", "is not that of the stream");
  }
  const TensorView& scales = *tensors.find("weight_scale");
  format::Plane scale = make_plane(TSR_PLANE_SCALE, scales.dtype, stored.N, 1);
  scale.block_n = 1;
  scale.block_k = stored.K;
  std::memcpy(scale.owned.data(), scales.data.data(), scale.owned.size());
  return format::load_sparse_file(container, source, {}, std::move(scale));
}

}  // namespace tessera
