// SPDX-License-Identifier: Apache-2.0
//
// The shapes that attention is tested on.

#include <iterator>

#include "tests/unit/backends/cpu/attention/attention_step.hpp"

namespace tessera::cpu {
namespace {

struct Heads {
  int64_t q;
  int64_t kv;
};
constexpr Heads kHeads[] = {{1, 1},  {4, 4},  {8, 4}, {8, 2},
                            {16, 2}, {32, 8}, {6, 3}, {24, 2}};
constexpr int64_t kHeadDims[] = {1, 8, 16, 20, 32, 64, 96, 128};
constexpr int64_t kBlockSizes[] = {1, 8, 16, 32};
constexpr int64_t kSeqLens[] = {1, 2, 15, 16, 17, 33, 100, 257};
constexpr int64_t kQLens[] = {1, 2, 7, 33};
constexpr uint32_t kDtypes[] = {TSR_F32, TSR_F16, TSR_BF16};
constexpr uint32_t kMasks[] = {TSR_MASK_CAUSAL, TSR_MASK_FULL,
                               TSR_MASK_SLIDING};

template <typename T, size_t kSize>
T pick(const T (&values)[kSize], std::mt19937& rng) {
  return values[rng() % kSize];
}

// Every q_len with every seq_len that holds it, all in one batch.
std::vector<SeqCase> all_lengths() {
  std::vector<SeqCase> seqs;
  for (const int64_t q_len : kQLens) {
    for (const int64_t seq_len : kSeqLens) {
      if (q_len <= seq_len) seqs.push_back({q_len, seq_len});
    }
  }
  return seqs;
}

AttentionCase mixed_case(std::mt19937& rng) {
  AttentionCase c;
  const Heads heads = pick(kHeads, rng);
  c.num_q_heads = heads.q;
  c.num_kv_heads = heads.kv;
  c.head_dim = pick(kHeadDims, rng);
  c.block_size = pick(kBlockSizes, rng);
  c.dtype = pick(kDtypes, rng);
  c.mask = pick(kMasks, rng);
  c.window = 1 + static_cast<int64_t>(rng() % 40);
  c.seqs.clear();
  const size_t num_seqs = 1 + rng() % 3;
  while (c.seqs.size() < num_seqs) {
    const SeqCase s{pick(kQLens, rng), pick(kSeqLens, rng)};
    if (s.q_len <= s.seq_len) c.seqs.push_back(s);
  }
  return c;
}

// Long enough that KV heads of a decoding sequence go together: all of them,
// eight at a time, or, where they are no such number, none.
std::vector<AttentionCase> long_cases() {
  std::vector<AttentionCase> cases;
  for (const Heads& heads :
       {Heads{6, 3}, Heads{32, 8}, Heads{64, 8}, Heads{16, 16}, Heads{9, 9}}) {
    AttentionCase c;
    c.num_q_heads = heads.q;
    c.num_kv_heads = heads.kv;
    c.head_dim = 16;
    c.seqs = {{1, 4097}, {2, 300}, {1, 4500}};
    c.dtype = TSR_BF16;
    cases.push_back(c);
  }
  cases.push_back(cases[1]);
  cases.back().mask = TSR_MASK_SLIDING;
  cases.back().window = 4200;
  return cases;
}

}  // namespace

std::vector<AttentionCase> attention_cases() {
  std::vector<AttentionCase> cases = long_cases();
  for (const Heads& heads : kHeads) {
    cases.emplace_back();
    cases.back().num_q_heads = heads.q;
    cases.back().num_kv_heads = heads.kv;
  }
  for (const int64_t head_dim : kHeadDims) {
    cases.emplace_back();
    cases.back().head_dim = head_dim;
  }
  for (const int64_t block_size : kBlockSizes) {
    cases.emplace_back();
    cases.back().block_size = block_size;
  }
  for (const uint32_t mask : kMasks) {
    cases.emplace_back();
    cases.back().mask = mask;
    cases.back().window = 11;
    cases.back().seqs = all_lengths();
    cases.back().num_q_heads = 4;
  }
  // Long enough to be split over the keys; a sequence without queries beside.
  for (const uint32_t mask : kMasks) {
    cases.emplace_back();
    cases.back().mask = mask;
    cases.back().window = 600;
    cases.back().head_dim = 20;
    cases.back().seqs = {{1, 1101}, {0, 5}, {3, 700}, {40, 1024}};
  }
  std::mt19937 rng(42);
  for (int i = 0; i < 24; ++i) cases.push_back(mixed_case(rng));
  return cases;
}

}  // namespace tessera::cpu
