// SPDX-License-Identifier: Apache-2.0
//
// The file form of a sparse weight: our own container of W8A8SC, for one shard
// of one tensor.  docs/sparse_container.md draws it byte by byte.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/sparse/sparse_tile.hpp"
#include "framework/format/weight.hpp"

namespace tessera::format {

enum class SparseCode : uint32_t {
  kFixed = 1,    // for kernels
  kEntropy = 2,  // smaller; expanded to kFixed when loaded
};

// Which dimension of the whole weight was divided between ranks.
enum class ShardAxis : uint32_t { kNone = 0, kRows = 1, kCols = 2 };

// The shard's place in tensor parallelism.
struct TensorParallel {
  uint32_t degree = 1;
  uint32_t rank = 0;
  ShardAxis axis = ShardAxis::kNone;

  bool operator==(const TensorParallel&) const = default;
};

struct SparseFile {
  SparseCode code = SparseCode::kFixed;
  TensorParallel tensor_parallel;
  SparseTiles tiles;  // of the shard
};

// The codes [N, K] of one shard in file form; equal codes give equal bytes.
//
// Errors  INVALID_ARGUMENT if N or K is 0, `codes` has another size, or the
//         rank is not below the degree
Result<std::vector<std::byte>> write_sparse_file(
    uint32_t N, uint32_t K, std::span<const int8_t> codes, SparseCode code,
    const TensorParallel& tensor_parallel = {});

// What the file holds.  Every field and checksum is checked; the tiles
// themselves when they are decoded.
//
// Errors  FAILED_PRECONDITION if the file was made for another degree, rank or
//         axis than `expected`; UNIMPLEMENTED for a newer version;
//         DATA_LOSS if a checksum does not hold; else INVALID_ARGUMENT.  All
//         begin with `source`
Result<SparseFile> read_sparse_file(std::span<const std::byte> bytes,
                                    const std::string& source,
                                    const TensorParallel& expected);

// The same as a SPARSE_FIXED weight that kernels read, with `scale`, a SCALE
// plane.
//
// Errors  those of read_sparse_file, expand_sparse_entropy and
//         sparse_fixed_weight, all beginning with `source`
Result<WeightData> load_sparse_file(std::span<const std::byte> bytes,
                                    const std::string& source,
                                    const TensorParallel& expected,
                                    Plane scale);

}  // namespace tessera::format
