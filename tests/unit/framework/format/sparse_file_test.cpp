// SPDX-License-Identifier: Apache-2.0

#include "framework/format/sparse/sparse_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>

#include "framework/format/element.hpp"
#include "framework/format/sparse/sparse_entropy.hpp"
#include "tests/unit/framework/format/sparse_codes.hpp"

namespace tessera::format {
namespace {

using ::testing::HasSubstr;

constexpr TensorParallel kWhole;

std::vector<std::byte> written(uint32_t N, uint32_t K, SparseCode code,
                               const TensorParallel& tp = kWhole) {
  std::mt19937 rng(42);
  auto bytes =
      write_sparse_file(N, K, protected_codes(size_t{N} * K, rng), code, tp);
  EXPECT_TRUE(bytes.ok()) << bytes.status().message();
  return *bytes;
}

// Bytes 60..63 are the checksum of the 60 before them.
void sign_header(std::vector<std::byte>& bytes) {
  const auto* data = reinterpret_cast<const Bytef*>(bytes.data());
  store_element(bytes.data(), 15, static_cast<uint32_t>(crc32(0, data, 60)));
}

std::string refusal(const std::vector<std::byte>& bytes,
                    const TensorParallel& expected = kWhole) {
  const auto file = read_sparse_file(bytes, "q.weight", expected);
  return file.ok() ? "" : file.status().message();
}

TEST(SparseFile, GivesBackEveryCode) {
  std::mt19937 rng(42);
  for (const SparseCode code : {SparseCode::kFixed, SparseCode::kEntropy}) {
    for (const CodeKind& kind : code_kinds()) {
      for (const auto& [N, K] : sparse_shapes()) {
        const auto codes = kind.make(size_t{N} * K, rng);
        const auto bytes = write_sparse_file(N, K, codes, code);
        ASSERT_TRUE(bytes.ok()) << bytes.status().message();
        auto file = read_sparse_file(*bytes, "f", kWhole);
        ASSERT_TRUE(file.ok()) << file.status().message();
        EXPECT_EQ(file->code, code);
        if (code == SparseCode::kEntropy) {
          auto fixed = expand_sparse_entropy(file->tiles);
          ASSERT_TRUE(fixed.ok()) << fixed.status().message();
          file->tiles = *fixed;
        }
        const auto decoded = decode_sparse_fixed(file->tiles);
        ASSERT_TRUE(decoded.ok()) << decoded.status().message();
        ASSERT_EQ(*decoded, codes) << kind.name << " " << N << " x " << K;
      }
    }
  }
}

// Every byte of a file of one tile, so that a change of the format is seen.
TEST(SparseFile, HasTheBytesOfTheDocument) {
  const std::vector<int8_t> codes = {5, -3, 5, 5, 0, -3};
  const auto bytes = write_sparse_file(2, 3, codes, SparseCode::kFixed,
                                       {4, 1, ShardAxis::kRows});
  ASSERT_TRUE(bytes.ok());
  std::string hex;
  for (const std::byte byte : *bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    hex += kDigits[std::to_integer<size_t>(byte >> 4)];
    hex += kDigits[std::to_integer<size_t>(byte & std::byte{15})];
  }
  // clang-format off
  EXPECT_EQ(hex,
            "5453535041525345"                     // TSSPARSE
            "01000000" "01000000"                  // version, code
            "02000000" "03000000"                  // N, K
            "00010000" "80000000"                  // rows, columns of a tile
            "04000000" "01000000" "01000000"       // degree, rank, axis
            "00000000"                             // reserved
            "2000000000000000"                     // bytes of tiles
            "3cff5d71" "0a104df6"                  // checksums: table, header
            "0000000000000000" "2000000000000000"  // index
            "b50212a7" "000000000000000000000000"  // checksum, padding
            "fd000500000000000000000000000000"     // the tile
            "02021200000000000000000000000000");
  // clang-format on
}

TEST(SparseFile, EqualCodesGiveEqualBytes) {
  for (const SparseCode code : {SparseCode::kFixed, SparseCode::kEntropy}) {
    EXPECT_EQ(written(300, 200, code), written(300, 200, code));
  }
}

TEST(SparseFile, RefusesAnotherTensorParallelPlace) {
  const TensorParallel made_for{4, 1, ShardAxis::kRows};
  const auto bytes = written(8, 8, SparseCode::kFixed, made_for);
  EXPECT_EQ(refusal(bytes, made_for), "");
  const auto file = read_sparse_file(bytes, "q.weight", {2, 1, made_for.axis});
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), TSR_FAILED_PRECONDITION);
  EXPECT_EQ(file.status().message(),
            "q.weight: compressed for tensor parallel degree 4, rank 1, axis "
            "rows, asked for degree 2, rank 1, axis rows; compress the weights "
            "again for this");
  EXPECT_THAT(refusal(bytes, {4, 2, made_for.axis}), HasSubstr("rank 2"));
  EXPECT_THAT(refusal(bytes, {4, 1, ShardAxis::kCols}), HasSubstr("cols"));
  EXPECT_THAT(refusal(bytes), HasSubstr("degree 1"));
}

TEST(SparseFile, RefusesToWriteForAPlaceThatIsNot) {
  const std::vector<int8_t> codes(4);
  EXPECT_EQ(write_sparse_file(2, 2, codes, SparseCode::kFixed,
                              {2, 2, ShardAxis::kRows})
                .status()
                .message(),
            "there is no tensor parallel degree 2, rank 2, axis rows");
  EXPECT_FALSE(write_sparse_file(2, 2, codes, SparseCode::kFixed, {0, 0}).ok());
}

TEST(SparseFile, RefusesEveryDamagedByte) {
  for (const SparseCode code : {SparseCode::kFixed, SparseCode::kEntropy}) {
    const auto good = written(3, 5, code);
    for (size_t i = 0; i < good.size(); ++i) {
      auto bad = good;
      bad[i] ^= std::byte{0x10};
      EXPECT_THAT(refusal(bad), HasSubstr("q.weight: ")) << "byte " << i;
    }
  }
}

TEST(SparseFile, RefusesEveryShorterFile) {
  const auto good = written(3, 5, SparseCode::kEntropy);
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_NE(refusal({good.begin(), good.begin() + ptrdiff_t(size)}), "");
  }
  auto longer = good;
  longer.push_back(std::byte{0});
  EXPECT_THAT(refusal(longer), HasSubstr("bytes, needs "));
}

TEST(SparseFile, RefusesFieldsThatClash) {
  const auto good = written(3, 5, SparseCode::kFixed);
  struct FieldCase {
    size_t index;  // of a u32
    uint32_t value;
    const char* message;
  };
  const FieldCase cases[] = {
      {2, 2, "version 2; this program reads 1"},
      {3, 3, "code 3 is unknown"},
      {4, 0, "a weight of 0 x 5"},
      {5, UINT32_MAX, "bytes, needs "},
      {4, UINT32_MAX, "bytes, needs "},
      {6, 128, "tiles of 128 x 128, not 256 x 128"},
      {8, 0, "there is no tensor parallel degree 0"},
      {10, 3, "axis unknown"},
      {11, 1, "reserved field is not zero"},
      {12, 1, "bytes, needs "},
      {13, UINT32_MAX, "bytes, needs "},
  };
  for (const FieldCase& c : cases) {
    auto bad = good;
    store_element(bad.data(), c.index, c.value);
    sign_header(bad);
    EXPECT_THAT(refusal(bad), HasSubstr(c.message)) << c.index;
  }
}

TEST(SparseFile, LoadsBothCodesAsTheSameWeight) {
  Plane scale;
  scale.role = TSR_PLANE_SCALE;
  scale.dtype = TSR_F32;
  scale.rows = 300;
  scale.cols = 1;
  scale.block_n = 1;
  scale.block_k = 200;
  scale.owned.resize(300 * 4);
  const auto fixed = load_sparse_file(written(300, 200, SparseCode::kFixed),
                                      "f", kWhole, scale);
  const auto entropy = load_sparse_file(written(300, 200, SparseCode::kEntropy),
                                        "f", kWhole, scale);
  ASSERT_TRUE(fixed.ok()) << fixed.status().message();
  ASSERT_TRUE(entropy.ok()) << entropy.status().message();
  EXPECT_EQ(fixed->format, TSR_WEIGHT_SPARSE_FIXED);
  for (size_t i = 0; i < fixed->planes.size(); ++i) {
    EXPECT_EQ(fixed->planes[i].owned, entropy->planes[i].owned);
  }
}

}  // namespace
}  // namespace tessera::format
