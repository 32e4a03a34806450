// SPDX-License-Identifier: Apache-2.0
//
// One step of attention with random contents; what no kernel may read is out of
// range.

#pragma once

#include <cstddef>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "framework/conformance/reference/attention/attention.hpp"
#include "tests/unit/backends/device/op_runner.hpp"

namespace tessera::device_test {

struct SeqCase {
  uint32_t q_len;
  uint32_t seq_len;
};

struct AttentionCase {
  uint32_t num_q_heads = 8;
  uint32_t num_kv_heads = 2;
  uint32_t head_dim = 64;
  uint32_t block_size = 16;
  std::vector<SeqCase> seqs = {{1, 33}, {7, 17}};
  uint32_t mask = TSR_MASK_CAUSAL;
  uint32_t window = 0;
  uint32_t dtype = TSR_F32;
  // Blocks of a sequence follow each other, as those of one that grows alone.
  bool in_order = false;
  // Of integer attention: thresholds that no exponential has, three of a kind.
  bool has_straight_thresholds = false;

  std::string name() const;
};

// Varies one dimension at a time around an ordinary case.
std::vector<AttentionCase> attention_cases();

// A canonical pool on the host, and step tensors that go with it.
class AttentionStep {
 public:
  AttentionStep(Device& device, const AttentionCase& c, uint32_t kv_format);

  // Fills a pool of the device with the host's blocks, runs the op and
  // compares.
  void run(const std::shared_ptr<Device>& device);

  tsr_kv_desc kv_desc() const { return desc_; }
  std::vector<std::byte>& blocks() { return blocks_; }
  TestTensor& block_table() { return block_table_; }
  Status run_op(const std::shared_ptr<Device>& device, uint32_t flags = 0);
  // The op over a pool, and what its steps say.
  void add_to(OpRunner& op, const KvPool& pool);
  uint32_t num_tokens() const;
  uint32_t num_seqs() const { return static_cast<uint32_t>(case_.seqs.size()); }
  uint32_t max_blocks() const { return max_blocks_; }
  // Of the steps to come; no more than the case says.
  void set_seq_len(uint32_t seq, uint32_t seq_len);
  // What the last step gave with the oracle.
  void compare();

 private:
  void make_tables(std::mt19937& rng);
  void make_scales(std::mt19937& rng);
  void fill_blocks(std::mt19937& rng);
  reference::Attention describe();
  void compare_float(const reference::Attention& p,
                     const reference::KvPool& pool);
  void compare_exactly(const reference::Attention& p,
                       const reference::KvPool& pool);

  AttentionCase case_;
  tsr_kv_desc desc_{};
  uint32_t max_blocks_ = 0;
  std::mt19937 rng_{42};
  std::vector<std::byte> blocks_;
  TestTensor q_;
  TestTensor out_;
  TestTensor q_starts_;
  TestTensor seq_lens_;
  TestTensor block_table_;
  TestTensor kv_scale_;
  TestTensor q_inv_;
  TestTensor q_scale_;
  TestTensor thresholds_;
  std::vector<float> q_values_;
  std::vector<float> kv_scales_;
  std::vector<float> q_invs_;
  std::vector<int32_t> starts_;
  std::vector<int32_t> lens_;
  std::vector<int32_t> table_;
  std::vector<int32_t> limits_;
};

// Copies canonical blocks into a pool of the device, or out of it.
Status import_blocks(const std::shared_ptr<Device>& device, const KvPool& pool,
                     uint32_t num_blocks, const std::vector<std::byte>& blocks);
Result<std::vector<std::byte>> export_blocks(
    const std::shared_ptr<Device>& device, const KvPool& pool,
    uint32_t num_blocks);

}  // namespace tessera::device_test
