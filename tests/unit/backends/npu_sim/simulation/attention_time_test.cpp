// SPDX-License-Identifier: Apache-2.0
//
// What kinds of caches cost on a simulated chip, and how near the cost model
// comes.  All of it is simulated time, so the figures never change.

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "backends/npu_sim/simulation/simulate.hpp"

namespace tessera::npu {
namespace {

Attention step(KvType kv, bool is_decode, int64_t cached, int64_t kv_heads) {
  Attention one;
  one.kv = kv;
  one.q_lens.assign(is_decode ? 4 : 1, is_decode ? 1 : cached);
  one.seq_lens.assign(one.q_lens.size(), cached);
  one.num_q_heads = 32;
  one.num_kv_heads = kv_heads;
  return one;
}

// Half the bytes; what widens them must not take the gain away.
TEST(AttentionTime, DecodingOverInt8IsFasterThanOverF16) {
  for (const char* name : {"910b1", "310p"}) {
    const Profile profile = load_profile(name);
    const double f16 =
        simulate(profile, step(KvType::kF16, true, 4096, 8)).cycles;
    for (const KvType kv : {KvType::kS8, KvType::kS8Channel, KvType::kFa3}) {
      const double int8 = simulate(profile, step(kv, true, 4096, 8)).cycles;
      EXPECT_LT(int8, 0.8 * f16) << name << ' ' << static_cast<int>(kv);
      EXPECT_GT(int8, 0.5 * f16) << name << ' ' << static_cast<int>(kv);
    }
  }
}

// Many tiles of rows read the cache, so it is widened once.
TEST(AttentionTime, PrefillOverInt8CostsLittleMoreThanOverF16) {
  for (const char* name : {"910b1", "310p"}) {
    const Profile profile = load_profile(name);
    const double f16 =
        simulate(profile, step(KvType::kF16, false, 2048, 8)).cycles;
    const double int8 =
        simulate(profile, step(KvType::kS8, false, 2048, 8)).cycles;
    EXPECT_GT(int8, f16) << name;
    EXPECT_LT(int8, 1.1 * f16) << name;
  }
}

TEST(AttentionTime, TheModelKnowsEveryKindOfCache) {
  for (const char* name : {"910b1", "310p"}) {
    const Profile profile = load_profile(name);
    double sum = 0;
    int all = 0;
    for (const KvType kv : {KvType::kS8, KvType::kS8Channel, KvType::kFa3}) {
      for (const bool is_decode : {true, false}) {
        for (const int64_t cached : {512, 2048}) {
          const Attention one = step(kv, is_decode, cached, 8);
          const double error =
              estimate(profile, one).cycles / simulate(profile, one).cycles - 1;
          EXPECT_LT(std::abs(error), 0.35) << name << ' ' << key_of(one);
          sum += std::abs(error);
          ++all;
        }
      }
    }
    EXPECT_LT(sum / all, 0.15) << name;
  }
}

}  // namespace
}  // namespace tessera::npu
