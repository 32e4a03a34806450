// SPDX-License-Identifier: Apache-2.0
//
// Packed weights: the rows of codes, scales and zero points one after another.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fault.hpp"
#include "tessera/host_memory.hpp"

namespace mutant {

struct PackedShape {
  uint64_t codes = 0;  // bytes of a row
  uint64_t scales = 0;
  uint64_t zeros = 0;
  uint64_t row() const { return (codes + scales + zeros + 15) / 16 * 16; }
};

struct MutantWeight {
  uint32_t format = 0;
  uint32_t N = 0;
  uint32_t K = 0;
  uint32_t group = 0;
  bool has_zeros = false;
  PackedShape shape;
  float act_scale = 0;
  float act_inv = 0;
  int32_t act_zero_point = 0;
  bool has_static = false;
  std::vector<int32_t> permutation;
  std::shared_ptr<tessera::sdk::HostBuffer> buffer;
  const char* rows = nullptr;

  const char* row(uint32_t n) const { return rows + n * shape.row(); }
  uint32_t zero_group(uint32_t k) const;
  float scale(uint32_t n, uint32_t k) const;
  int32_t code(uint32_t n, uint32_t k) const;  // minus its zero point
  float value(uint32_t n, uint32_t k) const;
};

// Reads a description and its small planes.
MutantWeight describe(const tsr_weight_desc& desc);

class MutantPacking final : public tessera::sdk::Packing {
 public:
  using Table = tessera::sdk::IdTable<MutantWeight>;
  MutantPacking(Table& table, uint64_t id, MutantWeight weight, char* packed)
      : table_(table), id_(id), weight_(std::move(weight)), packed_(packed) {
    if (has("cancelled_packing_commits")) {
      table_.insert(id_, std::make_shared<MutantWeight>(weight_));
    }
  }
  void slice(uint32_t n_begin, uint32_t n_end,
             const tsr_weight_desc& slice) override;
  void commit() override;

 private:
  Table& table_;
  uint64_t id_;
  MutantWeight weight_;
  char* packed_;
  std::atomic<uint32_t> packed_rows_{0};
};

}  // namespace mutant
