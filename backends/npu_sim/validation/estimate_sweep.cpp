// SPDX-License-Identifier: Apache-2.0
//
// Sizes are drawn evenly over their logarithms, or from those of known models.

#include "backends/npu_sim/validation/estimate_sweep.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "backends/npu_sim/simulation/simulate.hpp"

namespace tessera::npu {
namespace {

constexpr std::array<const char*, kNumFamilies> kNames = {
    "products of 1 to 64 rows",
    "products of 65 to 4096 rows",
    "grouped products",
    "attention, decode",
    "attention, prefill",
    "MLA, decode",
    "MLA, prefill",
    "row ops",
    "copies"};
// The machine takes a second for more.
constexpr double kMostProducts = 1.5e11;
constexpr double kMostTiles = 1e5;

class Draw {
 public:
  explicit Draw(std::mt19937& rng) : rng_(rng) {}

  int64_t pick(std::initializer_list<int64_t> values) {
    return *(values.begin() + rng_() % values.size());
  }
  bool one_in(uint32_t count) { return rng_() % count == 0; }
  size_t below(size_t count) { return rng_() % count; }
  int64_t between(int64_t low, int64_t high) {
    const double share = static_cast<double>(rng_()) / 4294967296.0;
    const auto from = static_cast<double>(low);
    return static_cast<int64_t>(
        from * std::pow(static_cast<double>(high + 1) / from, share));
  }
  int64_t cores(int64_t there) {
    return one_in(6)
               ? 1 + static_cast<int64_t>(rng_() % static_cast<uint32_t>(there))
               : 0;
  }

 private:
  std::mt19937& rng_;
};

Scheme random_scheme(const Profile& profile, Draw& draw) {
  std::vector<Scheme> schemes = {
      Scheme::kW16A16, Scheme::kInt8,  Scheme::kW8A8, Scheme::kW8A8Dynamic,
      Scheme::kW4A16,  Scheme::kW8A16, Scheme::kW4A8};
  if (profile.cube.bf16) schemes.push_back(Scheme::kBf16);
  if (profile.cube.macs_s4 > 0) schemes.push_back(Scheme::kW4A4);
  if (profile.cube.macs_f8 > 0) schemes.push_back(Scheme::kFp8);
  if (profile.unzip.engines > 0) schemes.push_back(Scheme::kW8A8Sc);
  return schemes[draw.below(schemes.size())];
}

Gemm random_gemm(const Profile& profile, bool is_prefill, Draw& draw) {
  Gemm gemm;
  gemm.scheme = random_scheme(profile, draw);
  if (gemm.scheme == Scheme::kW8A8Sc) gemm.compression = 0.65;
  gemm.M = is_prefill ? draw.between(65, 4096) : draw.between(1, 64);
  gemm.N = draw.one_in(3)
               ? draw.between(64, 20000)
               : draw.pick({1024, 2048, 3000, 4095, 4096, 6144, 12288});
  gemm.K = draw.one_in(3) ? draw.between(64, 16000)
                          : draw.pick({512, 1024, 2048, 4096, 5120, 12288});
  if (static_cast<double>(gemm.M * gemm.N) * static_cast<double>(gemm.K) >
      kMostProducts) {
    gemm.K = 1024;
  }
  gemm.layout = draw.one_in(2) ? WeightLayout::kNz : WeightLayout::kNd;
  gemm.weight_is_nk = !draw.one_in(4);
  if (draw.one_in(4)) {
    gemm.epilogue = {draw.one_in(2), draw.one_in(2), draw.one_in(2),
                     draw.one_in(2)};
  }
  gemm.cores = draw.cores(profile.cube_cores);
  return gemm;
}

GroupedGemm random_groups(const Profile& profile, Draw& draw) {
  GroupedGemm grouped;
  grouped.each = random_gemm(profile, false, draw);
  grouped.each.N = draw.pick({1024, 2048, 4096});
  grouped.each.K = draw.pick({1024, 2048, 7168});
  const int64_t count = draw.pick({2, 4, 8, 16});
  for (int64_t i = 0; i < count; ++i) {
    grouped.rows.push_back(draw.one_in(5) && i > 0 ? 0 : draw.between(1, 512));
  }
  return grouped;
}

void add_sequences(bool is_prefill, Draw& draw, Attention& attention) {
  const int64_t count =
      is_prefill ? draw.pick({1, 1, 2, 4}) : draw.pick({1, 4, 8, 16, 32});
  const bool is_even = draw.one_in(2);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t q_len = is_prefill ? draw.between(32, 4096) / count + 1 : 1;
    const int64_t before = is_prefill
                               ? (draw.one_in(2) ? draw.between(1, 4096) : 0)
                               : draw.between(64, 16000);
    attention.q_lens.push_back(i > 0 && is_even ? attention.q_lens[0] : q_len);
    attention.seq_lens.push_back(i > 0 && is_even ? attention.seq_lens[0]
                                                  : q_len + before);
  }
}

Attention random_attention(const Profile& profile, Family family, Draw& draw) {
  const bool is_latent =
      family == Family::kDecodeLatent || family == Family::kPrefillLatent;
  Attention attention;
  add_sequences(
      family == Family::kPrefillAttention || family == Family::kPrefillLatent,
      draw, attention);
  attention.cores = draw.cores(profile.cube_cores);
  if (is_latent) {
    attention.num_q_heads = draw.pick({16, 32, 64, 128});
    attention.qk_dim = 576;
    attention.v_dim = 512;
    attention.v_in_k = true;
    if (draw.one_in(3)) attention.kv = KvType::kFa3;
    return attention;
  }
  attention.num_kv_heads = draw.pick({1, 2, 4, 8, 32});
  attention.num_q_heads = attention.num_kv_heads * draw.pick({1, 2, 4, 8});
  attention.qk_dim = attention.v_dim = draw.pick({64, 80, 128, 256});
  attention.causal = !draw.one_in(5);
  attention.window = draw.one_in(5) ? 1024 : 0;
  attention.block_size = draw.pick({16, 64, 128});
  constexpr std::array<KvType, 4> kTypes = {KvType::kF16, KvType::kF16,
                                            KvType::kS8, KvType::kFa3};
  attention.kv = kTypes.at(draw.below(kTypes.size()));
  return attention;
}

Problem random_row_op(const Profile& profile, Draw& draw) {
  if (draw.one_in(3)) {
    VectorOp op;
    op.rows = draw.between(1, 8192);
    op.columns = draw.between(64, 16384);
    op.num_inputs = draw.between(1, 4);
    op.bank_conflicts = draw.one_in(4);
    op.cores = draw.cores(profile.vector_cores);
    return op;
  }
  if (draw.one_in(8)) {
    CacheAppend op;
    op.tokens = draw.between(1, 4096);
    op.num_kv_heads = draw.pick({1, 2, 4, 8, 32});
    op.head_dim = draw.pick({64, 80, 128, 256});
    op.block_size = draw.pick({16, 64, 128});
    op.type = draw.one_in(2) ? Type::kF32 : Type::kF16;
    constexpr std::array<KvType, 4> kTypes = {KvType::kF16, KvType::kS8,
                                              KvType::kFa3, KvType::kS8Channel};
    op.kv = kTypes.at(draw.below(kTypes.size()));
    op.rotates = draw.one_in(2);
    op.cores = draw.cores(profile.vector_cores);
    return op;
  }
  SmallOp op;
  op.kind = static_cast<SmallKind>(draw.below(kNumSmallKinds));
  const bool is_long = draw.one_in(6);  // most beyond what UB holds
  op.rows = draw.between(1, is_long ? 100 : 4096);
  op.columns = draw.between(is_long ? 50000 : 64, is_long ? 400000 : 16384);
  if (op.kind == SmallKind::kRope) {
    op.head_dim = 64;
    op.columns = op.columns / op.head_dim * op.head_dim;
  }
  op.type = draw.one_in(2) ? Type::kF32 : Type::kF16;
  op.cores = draw.cores(profile.vector_cores);
  return op;
}

Copy random_copy(const Profile& profile, Draw& draw) {
  Copy copy;
  copy.target = draw.one_in(2) ? CopyTarget::kL1 : CopyTarget::kUb;
  copy.nd_to_nz = copy.target == CopyTarget::kL1 && draw.one_in(2);
  copy.rows = draw.between(16, 16384);
  copy.columns = draw.between(64, 16384);
  copy.tile_rows = draw.between(1, 64);
  copy.tile_columns = draw.between(16, 1024);
  copy.repeats = draw.pick({1, 1, 2, 10});
  const double tiles = static_cast<double>(copy.rows * copy.columns) /
                       static_cast<double>(copy.tile_rows * copy.tile_columns);
  if (tiles * static_cast<double>(copy.repeats) > kMostTiles) {
    copy.tile_rows = 32;
    copy.tile_columns = 512;
    copy.repeats = 1;
  }
  copy.cores = draw.cores(profile.cube_cores);
  return copy;
}

}  // namespace

const char* name_of(Family family) {
  return kNames.at(static_cast<size_t>(family));
}

Problem random_problem(const Profile& profile, Family family,
                       std::mt19937& rng) {
  Draw draw(rng);
  switch (family) {
    case Family::kDecodeProduct:
      return random_gemm(profile, false, draw);
    case Family::kPrefillProduct:
      return random_gemm(profile, true, draw);
    case Family::kGroupedProduct:
      return random_groups(profile, draw);
    case Family::kRowOp:
      return random_row_op(profile, draw);
    case Family::kCopy:
      return random_copy(profile, draw);
    default:
      return random_attention(profile, family, draw);
  }
}

EstimateErrors estimate_errors(const std::vector<std::string>& profiles,
                               Family family, int each, uint32_t seed) {
  EstimateErrors errors;
  errors.family = family;
  for (const std::string& name : profiles) {
    const Profile profile = load_profile(name);
    std::mt19937 rng(seed);
    for (int i = 0; i < each; ++i) {
      const Problem problem = random_problem(profile, family, rng);
      const double machine = simulate(profile, problem).cycles;
      const double error = estimate(profile, problem).cycles / machine - 1;
      ++errors.count;
      errors.within += std::abs(error) <= 0.15 ? 1 : 0;
      errors.mean += std::abs(error);
      if (std::abs(error) <= std::abs(errors.worst)) continue;
      errors.worst = error;
      errors.worst_problem = name + " " + key_of(problem);
    }
  }
  errors.mean /= static_cast<double>(std::max<int64_t>(1, errors.count));
  return errors;
}

}  // namespace tessera::npu
