// SPDX-License-Identifier: Apache-2.0
//
// The compressed codes of a W8A8SC linear.  Names and shapes are msModelSlim's;
// the stream is Tessera's own (docs/sparse_container.md), since the one of
// Ascend's compressor is closed.

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/sparse/sparse_tile.hpp"
#include "framework/format/weight.hpp"
#include "framework/model/layouts/named_tensor.hpp"
#include "framework/model/layouts/quantized_layout.hpp"

namespace tessera {

//   weight        I8 [bytes]      the container, in its entropy code
//   index         I8 [bytes]      the container's I64 index, byte by byte
//   info          I64 [5]         tile rows, tile columns, K, N, 1
//   weight_scale  [N]             as the planes have it, so that a scale is not
//                                 the quotient of two that were rounded
//
// The dense form of the codes is what the static tensors are computed of.
struct SparseTensors {
  std::vector<NamedTensor> tensors;
  format::WeightData dense;  // the same planes over I8 codes
};

// Errors  those of decode_sparse_fixed() and write_sparse_file()
Result<SparseTensors> write_msmodelslim_sparse(
    const std::string& module, const format::WeightData& weight);

// N and K.
// Errors  NOT_FOUND or INVALID_ARGUMENT, naming the tensor, unless all four are
//         there with these shapes
Result<std::pair<uint32_t, uint32_t>> msmodelslim_sparse_shape(
    const ModuleTensors& tensors);

// The planes CODES, INDEX and SCALE.
//
// Requires  msmodelslim_sparse_shape() gave N and K
// Errors    FAILED_PRECONDITION if the weight was compressed for more than one
//           rank; INVALID_ARGUMENT if container, index and info do not agree;
//           those of load_sparse_file()
Result<format::WeightData> read_msmodelslim_sparse(const ModuleTensors& tensors,
                                                   const StoredLinear& stored);

}  // namespace tessera
