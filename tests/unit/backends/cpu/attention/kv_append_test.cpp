// SPDX-License-Identifier: Apache-2.0
//
// kv_append: every kernel row stores the bits of the definition and nothing
// else.

#include "backends/cpu/kernels/attention/kv_append.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tessera/error.hpp"
#include "tests/unit/backends/cpu/attention/kv_pool.hpp"
#include "tests/unit/backends/cpu/ops/test_threads.hpp"

namespace tessera::cpu {
namespace {

using Row = std::vector<float>;

struct AppendCase {
  uint32_t format;
  uint32_t dtype;
  int64_t num_heads;
  int64_t head_dim;
  int64_t block_size;
  uint32_t style;
  int64_t rotary_dim;
};

std::ostream& operator<<(std::ostream& out, const AppendCase& c) {
  return out << "format " << c.format << " dtype " << c.dtype << " heads "
             << c.num_heads << " head_dim " << c.head_dim << " block_size "
             << c.block_size << " style " << c.style << " rotary_dim "
             << c.rotary_dim;
}

constexpr int64_t kNumTokens = 37;
constexpr int64_t kNumBlocks = 60;
constexpr int64_t kMaxPositions = 50;

class AppendStep {
 public:
  explicit AppendStep(const AppendCase& c)
      : case_(c),
        pool_(kv_desc(c.format, c.num_heads, c.head_dim, c.block_size,
                      kNumBlocks)),
        k_(c.dtype, kNumTokens, c.num_heads * c.head_dim),
        v_(c.dtype, kNumTokens, c.num_heads * c.head_dim) {
    std::mt19937 rng(42);
    k_.fill(rng);
    v_.fill(rng);
    std::vector<int32_t> slots(static_cast<size_t>(kNumBlocks * c.block_size));
    for (size_t i = 0; i < slots.size(); ++i)
      slots[i] = static_cast<int32_t>(i);
    std::shuffle(slots.begin(), slots.end(), rng);
    slots_.assign(slots.begin(), slots.begin() + kNumTokens);
    slots_[5] = -1;
    slots_[20] = std::numeric_limits<int32_t>::min();
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    table_.resize(static_cast<size_t>(kMaxPositions * c.rotary_dim));
    for (float& x : table_) x = uniform(rng);
    for (int64_t t = 0; t < kNumTokens; ++t) {
      positions_.push_back(static_cast<int32_t>(rng() % kMaxPositions));
    }
    // Large enough that some codes are clamped.
    inv_.resize(static_cast<size_t>(2 * c.num_heads * c.head_dim));
    for (float& x : inv_) x = 60.0f + 20.0f * uniform(rng);
  }
  AppendStep(const AppendStep&) = delete;
  AppendStep& operator=(const AppendStep&) = delete;

  KvAppend op() {
    KvAppend op;
    op.num_tokens = kNumTokens;
    op.k = k_.in();
    op.v = v_.in();
    op.kv = pool_.layout();
    op.pool = pool_.data();
    op.slot_mapping = slots_.data();
    op.style = case_.style;
    op.rotary_dim = case_.rotary_dim;
    op.positions = positions_.data();
    op.table = table_.data();
    op.max_positions = kMaxPositions;
    op.kv_inv = inv_.data();
    return op;
  }
  TestPool& pool() { return pool_; }
  Matrix& k() { return k_; }
  int32_t slot(int64_t t) const { return slots_[static_cast<size_t>(t)]; }

  // Stores all tokens into `expected` by the definition.
  void store_expected(TestPool& expected) const {
    for (int64_t t = 0; t < kNumTokens; ++t) {
      if (slot(t) < 0) continue;
      for (int64_t h = 0; h < case_.num_heads; ++h) {
        for (const bool is_value : {false, true}) {
          store_head(expected, t, h, is_value);
        }
      }
    }
  }

 private:
  Row head_of(int64_t t, int64_t h, bool is_value) const {
    const Row row = is_value ? v_.row(t) : k_.row(t);
    Row x(row.begin() + h * case_.head_dim,
          row.begin() + (h + 1) * case_.head_dim);
    if (is_value || case_.style == TSR_ROPE_NONE) return x;
    const int64_t half = case_.rotary_dim / 2;
    const float* angles = &table_[static_cast<size_t>(
        positions_[static_cast<size_t>(t)] * case_.rotary_dim)];
    for (int64_t i = 0; i < half; ++i) {
      const bool is_half = case_.style == TSR_ROPE_HALF;
      float* first = x.data() + (is_half ? i : 2 * i);
      float* second = first + (is_half ? half : 1);
      tsr_rotate_f32(*first, *second, angles[i], angles[half + i], first,
                     second);
    }
    return x;
  }

  void store_head(TestPool& expected, int64_t t, int64_t h,
                  bool is_value) const {
    const Row x = head_of(t, h, is_value);
    const KvPlace place{slot(t) / case_.block_size, is_value, h,
                        slot(t) % case_.block_size};
    float dynamic_inv = 0.0f;
    if (case_.format == TSR_KV_I8_TOKEN) {
      float amax = 0.0f;
      for (const float v : x) amax = std::max(amax, std::fabs(v));
      dynamic_inv = amax < 0x1p-100f ? 0.0f : 127.0f / amax;
      expected.set_scale(place,
                         amax < 0x1p-100f ? 0.0f : amax * (1.0f / 127.0f));
    }
    for (int64_t d = 0; d < case_.head_dim; ++d) {
      const int64_t part = (is_value ? case_.num_heads : 0) + h;
      float value = x[static_cast<size_t>(d)];
      if (pool_.layout().dtype == TSR_I8) {
        float inv = dynamic_inv;
        if (case_.format == TSR_KV_I8_CHANNEL) {
          inv = inv_[static_cast<size_t>(part * case_.head_dim + d)];
        } else if (case_.format == TSR_KV_I8_HEAD) {
          inv = inv_[static_cast<size_t>(part)];
        }
        value = std::nearbyint(value * inv);
        value = std::fmin(std::fmax(value, -127.0f), 127.0f);
      }
      expected.set_code(place, d, value);
    }
  }

  AppendCase case_;
  TestPool pool_;
  Matrix k_;
  Matrix v_;
  std::vector<int32_t> slots_;
  std::vector<int32_t> positions_;
  Row table_;
  Row inv_;
};

std::vector<AppendCase> append_cases() {
  std::vector<AppendCase> cases;
  for (const uint32_t format :
       {TSR_KV_F32, TSR_KV_F16, TSR_KV_BF16, TSR_KV_I8_TOKEN, TSR_KV_I8_CHANNEL,
        TSR_KV_I8_HEAD}) {
    cases.push_back({format, TSR_F32, 2, 128, 16, TSR_ROPE_HALF, 128});
    cases.push_back({format, TSR_BF16, 3, 20, 8, TSR_ROPE_HALF, 12});
    cases.push_back({format, TSR_F16, 1, 8, 1, TSR_ROPE_INTERLEAVED, 8});
    cases.push_back({format, TSR_F32, 2, 96, 32, TSR_ROPE_INTERLEAVED, 50});
    cases.push_back({format, TSR_BF16, 8, 65, 16, TSR_ROPE_NONE, 0});
    cases.push_back({format, TSR_F32, 1, 1, 8, TSR_ROPE_NONE, 0});
  }
  return cases;
}

std::vector<const KvAppendKernel*> kernels() {
  std::vector<const KvAppendKernel*> rows;
  for (const KvAppendKernel& row : kv_append_kernels()) {
    if (row.isa <= best_isa()) rows.push_back(&row);
  }
  return rows;
}

class KvAppendTest : public testing::TestWithParam<const KvAppendKernel*> {};

TEST_P(KvAppendTest, StoresTheBitsOfTheDefinitionAndNothingElse) {
  for (const AppendCase& c : append_cases()) {
    SCOPED_TRACE(testing::Message() << c);
    AppendStep step(c);
    AppendStep untouched(c);
    TestPool& expected = untouched.pool();
    step.store_expected(expected);
    for (const uint32_t num_threads : {1u, 3u}) {
      std::memset(step.pool().data(), 0xff, step.pool().size());
      TestThreads threads(num_threads);
      run_kv_append(*GetParam(), step.op(), threads.parallel());
      ASSERT_EQ(
          std::memcmp(step.pool().data(), expected.data(), expected.size()), 0);
      step.pool().expect_guard_intact();
    }
  }
}

// numerics.md section 1: a row with NaN or infinity gives NaN, a tiny one 0.
TEST_P(KvAppendTest, MarksHeadsThatAreNotFiniteAndDropsTinyOnes) {
  AppendStep step({TSR_KV_I8_TOKEN, TSR_F32, 2, 40, 16, TSR_ROPE_NONE, 0});
  step.k().set(0, 3, std::numeric_limits<float>::quiet_NaN());
  step.k().set(1, 39, -std::numeric_limits<float>::infinity());
  for (int64_t d = 0; d < 40; ++d) step.k().set(2, d, 0x1p-101f);
  run_kv_append(*GetParam(), step.op(), Parallel{});
  const auto place = [&](int64_t t, int64_t head) {
    return KvPlace{step.slot(t) / 16, false, head, step.slot(t) % 16};
  };
  EXPECT_TRUE(std::isnan(step.pool().scale(place(0, 0))));
  EXPECT_TRUE(std::isnan(step.pool().scale(place(1, 0))));
  EXPECT_EQ(step.pool().scale(place(2, 0)), 0.0f);
  EXPECT_EQ(step.pool().code(place(2, 0), 7), 0.0f);
  for (int64_t t = 0; t < 3; ++t) {
    EXPECT_GT(step.pool().scale(place(t, 1)), 0.0f);
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, KvAppendTest, testing::ValuesIn(kernels()),
                         [](const auto& row) {
                           return std::string(row.param->name);
                         });

TEST(KvAppend, RefusesSlotsAndPositionsOutOfRangeBeforeItStores) {
  AppendStep step({TSR_KV_F32, TSR_F32, 1, 8, 4, TSR_ROPE_HALF, 8});
  const std::vector<int32_t> slots(kNumTokens, 240);
  const std::vector<int32_t> positions(kNumTokens, -1);
  const struct {
    std::function<void(KvAppend&)> spoil;
    const char* message;
  } cases[] = {
      {[&](KvAppend& op) { op.slot_mapping = slots.data(); },
       "kv_append: slot 240 of token 0 is not in the pool of 240"},
      {[&](KvAppend& op) { op.positions = positions.data(); },
       "kv_append: position -1 of token 0 is not in the table of 50 rows"},
      {[&](KvAppend& op) { op.rotary_dim = 10; },
       "kv_append: rotary_dim=10 is not an even number up to head_dim=8"},
      {[&](KvAppend& op) { op.v.dtype = TSR_I8; },
       "kv_append: v has dtype=5, not f32, f16 or bf16"},
      {[&](KvAppend& op) { op.k.row_stride = 7; },
       "kv_append: row_stride=7 of k is less than a row of 8"},
  };
  for (const auto& c : cases) {
    KvAppend op = step.op();
    c.spoil(op);
    const Parallel serial;
    try {
      kv_append(op, {&serial, Isa::kScalar});
      FAIL() << "not refused";
    } catch (const sdk::Error& error) {
      EXPECT_STREQ(error.what(), c.message);
    }
  }
  for (size_t i = 0; i < step.pool().size(); ++i) {
    ASSERT_EQ(step.pool().data()[i], std::byte{0xff});
  }
}

}  // namespace
}  // namespace tessera::cpu
