// SPDX-License-Identifier: Apache-2.0
//
// Header, index, checksums, tiles.

#include "framework/format/sparse/sparse_file.hpp"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#include <utility>

#include "framework/format/element.hpp"
#include "framework/format/sparse/sparse_entropy.hpp"

namespace tessera::format {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the file is little endian, and copied as it is");

constexpr std::string_view kMagic = "TSSPARSE";
constexpr uint32_t kVersion = 1;
constexpr size_t kAlignment = 16;  // of the tiles

// The first 64 bytes of a file.
struct Header {
  char magic[8];
  uint32_t version;
  uint32_t code;
  uint32_t N;
  uint32_t K;
  uint32_t tile_rows;
  uint32_t tile_cols;
  uint32_t tp_degree;
  uint32_t tp_rank;
  uint32_t tp_axis;
  uint32_t reserved;  // zero
  uint64_t codes_bytes;
  uint32_t table_checksum;   // of the index and the checksums of the tiles
  uint32_t header_checksum;  // of the 60 bytes before it
};
static_assert(sizeof(Header) == 64);

uint32_t checksum(std::span<const std::byte> bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

uint32_t header_checksum(const Header& header) {
  return checksum(std::as_bytes(std::span(&header, 1)).first(60));
}

Status bad(const std::string& why) { return Status(TSR_INVALID_ARGUMENT, why); }

std::string place(const TensorParallel& tp) {
  constexpr std::string_view kAxes[] = {"none", "rows", "cols"};
  const auto axis = static_cast<size_t>(tp.axis);
  return "degree " + std::to_string(tp.degree) + ", rank " +
         std::to_string(tp.rank) + ", axis " +
         std::string(axis < 3 ? kAxes[axis] : "unknown");
}

Status check_place(const TensorParallel& tp) {
  const auto axis = static_cast<uint32_t>(tp.axis);
  if (tp.degree == 0 || tp.rank >= tp.degree || axis > 2) {
    return bad("there is no tensor parallel " + place(tp));
  }
  return {};
}

// Bytes of the index and the checksums, padded.
uint64_t table_bytes(uint64_t num_tiles) {
  const uint64_t bytes =
      (num_tiles + 1) * sizeof(int64_t) + num_tiles * sizeof(uint32_t);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

std::vector<std::byte> make_table(const SparseTiles& tiles) {
  const size_t num_tiles = tiles.index.size() - 1;
  std::vector<std::byte> table(table_bytes(num_tiles));
  std::memcpy(table.data(), tiles.index.data(),
              tiles.index.size() * sizeof(int64_t));
  std::byte* const checksums =
      table.data() + tiles.index.size() * sizeof(int64_t);
  for (size_t tile = 0; tile < num_tiles; ++tile) {
    const auto begin = static_cast<size_t>(tiles.index[tile]);
    const auto end = static_cast<size_t>(tiles.index[tile + 1]);
    store_element(checksums, tile,
                  checksum(std::span(tiles.codes).subspan(begin, end - begin)));
  }
  return table;
}

Status check_header(const Header& header, uint64_t file_bytes) {
  if (header.version != kVersion) {
    return Status(TSR_UNIMPLEMENTED,
                  "version " + std::to_string(header.version) +
                      "; this program reads " + std::to_string(kVersion));
  }
  if (header.header_checksum != header_checksum(header)) {
    return Status(TSR_DATA_LOSS, "the header's checksum does not hold");
  }
  if (header.code != 1 && header.code != 2) {
    return bad("code " + std::to_string(header.code) + " is unknown");
  }
  if (header.tile_rows != kSparseTileRows ||
      header.tile_cols != kSparseTileCols) {
    return bad("tiles of " + std::to_string(header.tile_rows) + " x " +
               std::to_string(header.tile_cols) + ", not " +
               std::to_string(kSparseTileRows) + " x " +
               std::to_string(kSparseTileCols));
  }
  if (header.N == 0 || header.K == 0) {
    return bad("a weight of " + std::to_string(header.N) + " x " +
               std::to_string(header.K));
  }
  if (header.reserved != 0) return bad("reserved field is not zero");
  const uint64_t head =
      sizeof(Header) + table_bytes(num_sparse_tiles(header.N, header.K));
  if (file_bytes < head || file_bytes - head != header.codes_bytes) {
    return bad(std::to_string(file_bytes) + " bytes, needs " +
               std::to_string(head) + " and " +
               std::to_string(header.codes_bytes) + " of tiles");
  }
  return {};
}

Status check_expected(const Header& header, const TensorParallel& expected) {
  const TensorParallel made_for{header.tp_degree, header.tp_rank,
                                static_cast<ShardAxis>(header.tp_axis)};
  TSR_RETURN_IF_ERROR(check_place(made_for));
  if (made_for == expected) return {};
  return Status(TSR_FAILED_PRECONDITION,
                "compressed for tensor parallel " + place(made_for) +
                    ", asked for " + place(expected) +
                    "; compress the weights again for this");
}

Status check_tiles(const SparseTiles& tiles, const std::byte* checksums) {
  TSR_RETURN_IF_ERROR(check_sparse_index(tiles));
  for (uint64_t tile = 0; tile + 1 < tiles.index.size(); ++tile) {
    TSR_ASSIGN_OR_RETURN(const auto bytes, sparse_tile_bytes(tiles, tile));
    if (checksum(bytes) != load_element<uint32_t>(checksums, tile)) {
      return Status(TSR_DATA_LOSS, "the checksum of tile " +
                                       std::to_string(tile) + " does not hold");
    }
  }
  return {};
}

Result<SparseFile> read_file(std::span<const std::byte> bytes,
                             const TensorParallel& expected) {
  if (bytes.size() < sizeof(Header) ||
      std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return bad("not a sparse weight");
  }
  Header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  TSR_RETURN_IF_ERROR(check_header(header, bytes.size()));
  TSR_RETURN_IF_ERROR(check_expected(header, expected));

  const uint64_t num_tiles = num_sparse_tiles(header.N, header.K);
  const auto table = bytes.subspan(sizeof(Header), table_bytes(num_tiles));
  if (checksum(table) != header.table_checksum) {
    return Status(TSR_DATA_LOSS, "the index's checksum does not hold");
  }
  const auto codes = bytes.subspan(sizeof(Header) + table.size());
  SparseFile file{static_cast<SparseCode>(header.code),
                  expected,
                  {header.N, header.K, {codes.begin(), codes.end()}, {}}};
  file.tiles.index.resize(num_tiles + 1);
  const size_t index_bytes = file.tiles.index.size() * sizeof(int64_t);
  std::memcpy(file.tiles.index.data(), table.data(), index_bytes);
  TSR_RETURN_IF_ERROR(check_tiles(file.tiles, table.data() + index_bytes));
  return file;
}

Result<WeightData> load_file(std::span<const std::byte> bytes,
                             const TensorParallel& expected, Plane scale) {
  TSR_ASSIGN_OR_RETURN(SparseFile file, read_file(bytes, expected));
  if (file.code == SparseCode::kEntropy) {
    TSR_ASSIGN_OR_RETURN(file.tiles, expand_sparse_entropy(file.tiles));
  }
  return sparse_fixed_weight(std::move(file.tiles), std::move(scale));
}

}  // namespace

Result<std::vector<std::byte>> write_sparse_file(
    uint32_t N, uint32_t K, std::span<const int8_t> codes, SparseCode code,
    const TensorParallel& tensor_parallel) {
  TSR_RETURN_IF_ERROR(check_place(tensor_parallel));
  TSR_ASSIGN_OR_RETURN(SparseTiles tiles, encode_sparse_fixed(N, K, codes));
  if (code == SparseCode::kEntropy) {
    TSR_ASSIGN_OR_RETURN(tiles, encode_sparse_entropy(tiles));
  }
  const std::vector<std::byte> table = make_table(tiles);

  Header header{};
  std::memcpy(header.magic, kMagic.data(), kMagic.size());
  header.version = kVersion;
  header.code = static_cast<uint32_t>(code);
  header.N = N;
  header.K = K;
  header.tile_rows = kSparseTileRows;
  header.tile_cols = kSparseTileCols;
  header.tp_degree = tensor_parallel.degree;
  header.tp_rank = tensor_parallel.rank;
  header.tp_axis = static_cast<uint32_t>(tensor_parallel.axis);
  header.codes_bytes = tiles.codes.size();
  header.table_checksum = checksum(table);
  header.header_checksum = header_checksum(header);

  const auto head = std::as_bytes(std::span(&header, 1));
  std::vector<std::byte> bytes(head.begin(), head.end());
  bytes.insert(bytes.end(), table.begin(), table.end());
  bytes.insert(bytes.end(), tiles.codes.begin(), tiles.codes.end());
  return bytes;
}

Result<SparseFile> read_sparse_file(std::span<const std::byte> bytes,
                                    const std::string& source,
                                    const TensorParallel& expected) {
  return read_file(bytes, expected).annotate(source);
}

Result<WeightData> load_sparse_file(std::span<const std::byte> bytes,
                                    const std::string& source,
                                    const TensorParallel& expected,
                                    Plane scale) {
  return load_file(bytes, expected, std::move(scale)).annotate(source);
}

}  // namespace tessera::format
