// SPDX-License-Identifier: Apache-2.0
//
// kv_append stores the oracle's bytes, whatever the cache type.

#include <cmath>

#include "framework/conformance/reference/attention/kv.hpp"
#include "tests/unit/backends/device/attention_case.hpp"

namespace tessera::device_test {
namespace {

constexpr uint32_t kHeads = 3;
constexpr uint32_t kTokens = 5;
constexpr uint32_t kPositions = 11;
constexpr int32_t kSlots[kTokens] = {0, 13, -1, 5, 7};
constexpr int32_t kAt[kTokens] = {10, 0, 3, 4, 9};

struct AppendCase {
  uint32_t head_dim;
  uint32_t rotary_dim;
  uint32_t style;
  uint32_t dtype;
};

// The tensors of one case.
struct AppendTensors {
  AppendTensors(Device& device, const AppendCase& c, uint32_t kv_format)
      : k(device, c.dtype, kTokens, kHeads * c.head_dim, rng),
        v(device, c.dtype, kTokens, kHeads * c.head_dim, rng),
        table(device, TSR_F32, kPositions, c.rotary_dim, rng, 0),
        slots(device, TSR_I32, 1, kTokens, 0),
        positions(device, TSR_I32, 1, kTokens, 0),
        inv(device, TSR_F32, 2 * kHeads,
            kv_format == TSR_KV_I8_CHANNEL ? c.head_dim : 1, 0) {
    k.set(3, 1, INFINITY);
    for (uint32_t t = 0; t < kTokens; ++t) {
      slots.set_integer(0, t, kSlots[t]);
      positions.set_integer(0, t, kAt[t]);
    }
    for (uint32_t r = 0; r < inv.rows(); ++r) {
      for (uint32_t i = 0; i < inv.cols(); ++i) {
        inv.set(r, i, 30.0f + static_cast<float>(rng() % 20));
      }
    }
  }

  Status run(const std::shared_ptr<Device>& device, const AppendCase& c,
             const KvPool& pool) const {
    OpRunner op(device);
    tsr_op_kv_append append{};
    append.op.kind = TSR_OP_KV_APPEND;
    append.k = op.add(k);
    append.v = op.add(v);
    append.kv = op.program().add_kv_pool(pool.id());
    append.slot_mapping = op.add(slots, TSR_DIM_FIXED);
    append.positions = op.add(positions, TSR_DIM_FIXED);
    append.table = op.add(table, TSR_DIM_FIXED);
    append.style = c.style;
    append.rotary_dim = c.rotary_dim;
    append.kv_inv = op.add(inv, TSR_DIM_FIXED);
    op.program().add_op(append);
    return op.run(kTokens);
  }

  // The oracle's work on `blocks`.
  Status run_oracle(const tsr_kv_desc& desc, const AppendCase& c,
                    std::vector<std::byte>& blocks) const {
    const auto k_values = k.values();
    const auto v_values = v.values();
    const auto angles = table.values();
    const auto invs = inv.values();
    TSR_ASSIGN_OR_RETURN(const auto pool,
                         reference::KvPool::open(desc, blocks));
    return reference::kv_append(
        {kTokens, k_values.data(), v_values.data(), kSlots, kAt, angles.data(),
         kPositions, c.style, c.rotary_dim, invs.data()},
        pool);
  }

  std::mt19937 rng{42};
  TestTensor k;
  TestTensor v;
  TestTensor table;
  TestTensor slots;
  TestTensor positions;
  TestTensor inv;
};

class DeviceKvAppend : public testing::TestWithParam<uint32_t> {
 protected:
  void expect_bytes(const std::shared_ptr<Device>& device,
                    const AppendCase& c) {
    SCOPED_TRACE("head_dim " + std::to_string(c.head_dim) + " style " +
                 std::to_string(c.style) + " dtype " + std::to_string(c.dtype));
    const tsr_kv_desc desc{sizeof(desc), GetParam(), kHeads, c.head_dim, 4, 4,
                           nullptr};
    const AppendTensors tensors(*device, c, GetParam());
    auto pool = device->create_kv_pool(desc);
    ASSERT_TRUE(pool.ok()) << pool.status().message();
    std::vector<std::byte> blocks(pool->info().block_bytes * desc.num_blocks,
                                  std::byte{0x11});
    ASSERT_TRUE(import_blocks(device, *pool, desc.num_blocks, blocks).ok());
    const Status status = tensors.run(device, c, *pool);
    ASSERT_TRUE(status.ok()) << status.message();
    ASSERT_TRUE(tensors.run_oracle(desc, c, blocks).ok());
    const auto found = export_blocks(device, *pool, desc.num_blocks);
    ASSERT_TRUE(found.ok()) << found.status().message();
    expect_same(desc, blocks, *found);
  }

  // Byte for byte, but for the payload of NaN.
  void expect_same(const tsr_kv_desc& desc, std::vector<std::byte>& wanted,
                   std::vector<std::byte> found) {
    const auto a = *reference::KvPool::open(desc, wanted);
    const auto b = *reference::KvPool::open(desc, found);
    std::vector<double> x(desc.head_dim);
    std::vector<double> y(desc.head_dim);
    const std::vector<float> ones(size_t{2} * kHeads * desc.head_dim, 1.0f);
    for (const auto part :
         {reference::KvPart::kKey, reference::KvPart::kValue}) {
      for (uint64_t slot = 0; slot < a.num_slots(); ++slot) {
        for (uint32_t head = 0; head < kHeads; ++head) {
          a.read(part, slot, head, ones.data(), x);
          b.read(part, slot, head, ones.data(), y);
          for (uint32_t i = 0; i < desc.head_dim; ++i) {
            if (std::isnan(x[i]) && std::isnan(y[i])) continue;
            ASSERT_EQ(x[i], y[i])
                << "slot " << slot << " head " << head << " element " << i;
          }
        }
      }
    }
  }
};

TEST_P(DeviceKvAppend, StoresTheBytesOfTheOracle) {
  TSR_OPEN_OR_SKIP(device, {});
  const AppendCase cases[] = {{64, 64, TSR_ROPE_HALF, TSR_F32},
                              {40, 20, TSR_ROPE_INTERLEAVED, TSR_F16},
                              {17, 16, TSR_ROPE_HALF, TSR_BF16},
                              {32, 32, TSR_ROPE_NONE, TSR_F32}};
  for (const AppendCase& c : cases) expect_bytes(device, c);
}

INSTANTIATE_TEST_SUITE_P(All, DeviceKvAppend,
                         testing::Values(TSR_KV_F32, TSR_KV_F16, TSR_KV_BF16,
                                         TSR_KV_I8_TOKEN, TSR_KV_I8_CHANNEL,
                                         TSR_KV_I8_HEAD),
                         [](const auto& format) {
                           return "kv" + std::to_string(format.param);
                         });

}  // namespace
}  // namespace tessera::device_test
