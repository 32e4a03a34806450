// SPDX-License-Identifier: Apache-2.0
//
// The search: tile sizes that are multiples of fractals, the largest packets
// that fit L1 twice, and splits of K where tiles are fewer than cores.

#include "backends/npu_sim/compiler/gemm/plan.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "backends/npu_sim/compiler/gemm/fit.hpp"
#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/compiler/gemm/model.hpp"
#include "backends/npu_sim/compiler/gemm/slices.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

double real(int64_t value) { return static_cast<double>(value); }

constexpr int64_t kFractalRows = 16;
constexpr std::array<int64_t, 7> kTileRows = {16, 32, 64, 96, 128, 192, 256};
constexpr std::array<int64_t, 10> kTileColumns = {16,  32,  64,  96,  128,
                                                  160, 192, 256, 384, 512};
constexpr std::array<int64_t, 4> kSplits = {1, 2, 4, 8};
constexpr double kSumBytes = 4;
constexpr double kLongestRow = 4096;  // bytes of a packet's, as fit.cpp has it
// Tilings that promise less than the best and keep to it, until only those next
// to the best are tried.
constexpr int kPatience = 6;

int64_t most_tile_rows(const GemmPlan& plan) {
  int64_t rows = 1;
  for (const GemmPart& part : plan.parts) {
    rows = std::max(rows, plan.tiles_m(part));
  }
  return rows;
}

// Rows of tiles that the cores of a wave share evenly with columns: the least
// bytes in flight for the most reuse.
int64_t choose_swizzle(const GemmPlan& plan, const GemmTiling& tiling) {
  if (!plan.uses_swizzle) return 1;
  const double even =
      std::sqrt(static_cast<double>(plan.cores * tiling.tile_n) /
                static_cast<double>(tiling.tile_m));
  return std::clamp<int64_t>(std::llround(even), 1, most_tile_rows(plan));
}

// A plan should not need all of L2: where DRAM has no time to write results
// back, inputs that found room there no longer do.
constexpr GemmEffort kSearchEffort{1, 0.5};

struct Search {
  const Profile& profile;
  GemmTiling forced;
  GemmPlan plan;
  GemmModel model;
  GemmTiling best;
  double best_cycles = std::numeric_limits<double>::infinity();
  int64_t least_side = 64;  // of tiles on a long side, where small ones never
                            // win; unless memories hold no others

  // Tries one tile size with both numbers of accumulators.
  void consider(int64_t tile_m, int64_t tile_n, int64_t split_k);
  // Tries other bands of tile rows for the best tile: the higher, the fewer
  // times the weight is read; the lower, the longer its input stays in L2.
  void refine_swizzle();
};

void Search::consider(int64_t tile_m, int64_t tile_n, int64_t split_k) {
  GemmTiling tiling = forced;
  tiling.tile_m = tile_m;
  // Tiles begin at whole blocks of the weight.
  tiling.tile_n = plan.gemm.layout == WeightLayout::kNz
                      ? round_up(tile_n, fractal_k(plan.kind.cube))
                      : tile_n;
  tiling.split_k = split_k;
  const int64_t tile_bytes =
      4 * round_up(tile_m, kFractalRows) * round_up(tile_n, kFractalRows);
  tiling.double_accumulator =
      plan.double_buffer && 2 * tile_bytes <= profile.local.l0c_bytes;
  choose_depth(profile, plan, tiling);
  plan.tiling = tiling;
  if (tiling.swizzle == 0) plan.tiling.swizzle = choose_swizzle(plan, tiling);
  const GemmContext context{profile, plan, layout_of(profile, plan)};
  if (misfit(profile, context.layout)) return;
  const double cycles = model.cost(context, kSearchEffort, best_cycles).cycles;
  if (cycles < best_cycles) {
    best_cycles = cycles;
    best = plan.tiling;
  }
}

void Search::refine_swizzle() {
  if (forced.swizzle > 0 || !plan.uses_swizzle || std::isinf(best_cycles)) {
    return;
  }
  plan.tiling = best;
  if (model.fits(plan)) return;
  const int64_t rows = most_tile_rows(plan);
  for (int64_t parts = 1; parts <= rows; parts *= 2) {
    plan.tiling.swizzle = ceil_div(rows, parts);
    const GemmContext context{profile, plan, layout_of(profile, plan)};
    const double cycles =
        model.cost(context, kSearchEffort, best_cycles).cycles;
    if (cycles >= best_cycles) continue;
    best_cycles = cycles;
    best = plan.tiling;
  }
}

// Sizes worth trying along one side.
template <size_t Count>
std::vector<int64_t> sizes_of(const std::array<int64_t, Count>& all,
                              int64_t side, int64_t forced,
                              int64_t least_side) {
  if (forced > 0) return {forced};
  std::vector<int64_t> sizes;
  const int64_t padded = round_up(side, kFractalRows);
  const int64_t least = side >= 256 ? least_side : kFractalRows;
  for (const int64_t size : all) {
    if (size >= padded) {
      sizes.push_back(padded);
      break;
    }
    if (size >= least) sizes.push_back(size);
  }
  return sizes;
}

void add_even_share(const GemmPlan& plan, std::vector<int64_t>& columns) {
  const int64_t share =
      round_up(ceil_div(plan.gemm.N, plan.cores), kFractalRows);
  for (int64_t parts = 1; parts <= 2; ++parts) {
    const int64_t size = round_up(ceil_div(share, parts), kFractalRows);
    if (size <= 512) columns.push_back(size);
  }
}

void check_forced(const Profile& profile, const Gemm& gemm,
                  const GemmTiling& forced) {
  for (const int64_t size :
       {forced.tile_m, forced.tile_n, forced.tile_k, forced.packet_k,
        forced.split_k, forced.swizzle, forced.wide_n}) {
    if (size < 0 || size > (1 << 20)) {
      throw sdk::Error(TSR_INVALID_ARGUMENT, "tiling: " + std::to_string(size) +
                                                 " is outside 0 to 1048576");
    }
  }
  if (gemm.cores < 0 || gemm.cores > profile.cube_cores) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "gemm: cores " + std::to_string(gemm.cores) + " of " +
                         std::to_string(profile.cube_cores) + " on " +
                         profile.name);
  }
}

// Steps and packets that are forced end where sums do.
void check_sums(const GemmKind& kind, const GemmTiling& forced) {
  if (kind.sum_k == 0) return;
  const auto refuse = [&](const char* name, int64_t value) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     std::string("tiling: ") + name + " " +
                         std::to_string(value) +
                         " does not go with sums of groups of " +
                         std::to_string(kind.sum_k));
  };
  if (forced.split_k > 1) refuse("split_k", forced.split_k);
  if (forced.tile_k > 0 && kind.sum_k % forced.tile_k != 0) {
    refuse("tile_k", forced.tile_k);
  }
  if (forced.packet_k % kind.sum_k != 0) refuse("packet_k", forced.packet_k);
}

struct Candidate {
  int64_t tile_m = 0;
  int64_t tile_n = 0;
  int64_t split_k = 1;
  int row = 0;  // among the sizes of each side
  int column = 0;
  double least_cycles = 0;
  bool is_seen = false;

  bool is_next_to(const Candidate& other) const {
    const bool is_split_alike = split_k == other.split_k;
    const int steps =
        std::abs(row - other.row) + std::abs(column - other.column);
    return is_split_alike ? steps == 1 : steps == 0;
  }
};

// What no order of tiles, no cache and no overlap can undercut: of an even
// share of all tiles the products, the loads to L0 and to L1, the way out, and
// the way of two packets in turn through all of them.
double least_cycles(const Profile& profile, const GemmPlan& plan,
                    const Candidate& candidate, double tiles) {
  const Type type = plan.kind.cube;
  const auto m = real(round_up(candidate.tile_m, kFractalRows));
  const auto n = real(round_up(candidate.tile_n, kFractalRows));
  const double sum_bytes = kSumBytes * m * n;
  if (sum_bytes > real(profile.local.l0c_bytes)) {
    return std::numeric_limits<double>::infinity();
  }
  const double K = real(plan.gemm.K);
  const double element = real(bits_of(type)) / 8;
  const LocalMemories& local = profile.local;
  const double step = std::min({K, real(local.l0a_bytes) / 2 / m / element,
                                real(local.l0b_bytes) / 2 / n / element});
  const double steps = K / step;
  const double cube = m * n * K / real(cube_macs(profile, type)) +
                      steps * profile.cube.issue_cycles;
  const double mte1 =
      K * element * (m / local.l1_to_l0a_rate + n / local.l1_to_l0b_rate) +
      2 * steps * local.load3d_cycles;
  const double mte2 = plan.kind.unzips
                          ? 0
                          : (m + n) * K * element / profile.global.l2_read_rate;
  const double packets =
      K * element /
      std::min({K * element, kLongestRow, real(local.l1_bytes) / 2 / (m + n)});
  const double through = std::max(cube, mte1) + mte2 +
                         packets * profile.assumptions.l2_latency_cycles;
  const double exit_rate = profile.exit.fixpipe
                               ? profile.exit.fixpipe_elements
                               : profile.exit.l0c_to_ub_rate / kSumBytes;
  const bool is_hidden = 2 * sum_bytes <= real(local.l0c_bytes);
  const double exit = m * n / exit_rate;
  const double shares = tiles * real(candidate.split_k) / real(plan.cores);
  return std::max(shares, 1.0) / real(candidate.split_k) *
         std::max(
             {cube + (is_hidden ? 0 : exit), mte1, mte2, exit, through / 2});
}

std::vector<Candidate> candidates_of(const Search& search,
                                     const PartsSummary& parts) {
  const GemmTiling& forced = search.forced;
  const GemmPlan& plan = search.plan;
  const Gemm& gemm = plan.gemm;
  std::vector<int64_t> columns =
      sizes_of(kTileColumns, gemm.N, forced.tile_n, search.least_side);
  if (forced.tile_n == 0 && parts.most_rows <= 64) {
    add_even_share(plan, columns);
  }
  const bool may_split = parts.num_active <= 1 && plan.kind.sum_k == 0 &&
                         parts.most_rows <= (plan.is_later_slice ? 16 : 256);
  std::vector<Candidate> candidates;
  int row = 0;
  for (const int64_t tile_m :
       sizes_of(kTileRows, parts.most_rows, forced.tile_m, search.least_side)) {
    ++row;
    int column = 0;
    // Short tiles count as what they hold.
    const double rows =
        static_cast<double>(parts.rows) / static_cast<double>(tile_m);
    const int64_t whole_rows = tile_rows_of(plan.parts, tile_m);
    for (const int64_t tile_n : columns) {
      ++column;
      const double tiles =
          rows * static_cast<double>(gemm.N) / static_cast<double>(tile_n);
      const int64_t whole = whole_rows * ceil_div(gemm.N, tile_n);
      for (const int64_t split : kSplits) {
        Candidate one{tile_m, tile_n, split, row, column};
        if (forced.split_k > 0) one.split_k = forced.split_k;
        const bool pays = may_split && whole * split <= 2 * plan.cores &&
                          gemm.K >= 512 * split;
        if (split > 1 && (!pays || forced.split_k > 0)) break;
        one.least_cycles = least_cycles(search.profile, plan, one, tiles);
        candidates.push_back(one);
      }
    }
  }
  return candidates;
}

// The most promising first, until several have promised too much; then what
// lies next to the best.
void search_tiles(Search& search, const PartsSummary& parts) {
  std::vector<Candidate> candidates = candidates_of(search, parts);
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) {
              return a.least_cycles < b.least_cycles;
            });
  const double before = search.model.cycles_before();
  const Candidate* best = nullptr;
  const auto improves = [&](Candidate& one) {
    const double cycles = search.best_cycles;
    one.is_seen = true;
    search.consider(one.tile_m, one.tile_n, one.split_k);
    if (search.best_cycles == cycles) return false;
    best = &one;
    return true;
  };
  int in_vain = 0;
  for (Candidate& one : candidates) {
    const bool is_less = before + one.least_cycles < search.best_cycles;
    if (best != nullptr && !is_less) break;
    in_vain = improves(one) || best == nullptr ? 0 : in_vain + 1;
    if (in_vain == kPatience) break;
  }
  const auto moves = [&] {
    return std::any_of(
        candidates.begin(), candidates.end(), [&](Candidate& one) {
          return !one.is_seen && one.is_next_to(*best) &&
                 before + one.least_cycles < search.best_cycles &&
                 improves(one);
        });
  };
  while (best != nullptr && moves()) {
  }
}

struct Found {
  GemmTiling tiling;
  double cycles = 0;
};

Found search(const Profile& profile, const GemmPlan& plan,
             const GemmTiling& forced) {
  Search search{profile, forced, plan, GemmModel(profile, plan), {}};
  search.forced.wide_n = 0;
  search_tiles(search, search.model.parts());
  if (std::isinf(search.best_cycles)) {
    search.least_side = kFractalRows;
    search_tiles(search, search.model.parts());
  }
  search.refine_swizzle();
  if (!std::isinf(search.best_cycles)) return {search.best, search.best_cycles};
  const GemmTiling& tiling = search.plan.tiling;
  const Misfit why =
      misfit(profile, layout_of(profile, search.plan)).value_or(Misfit{});
  throw sdk::Error(TSR_INVALID_ARGUMENT,
                   "gemm: tile " + std::to_string(tiling.tile_m) + " x " +
                       std::to_string(tiling.tile_n) + " x " +
                       std::to_string(tiling.tile_k) + " needs " +
                       std::to_string(why.needed_bytes) + " bytes of " +
                       why.memory + ", which has " + std::to_string(why.bytes) +
                       " on " + profile.name);
}

// Where something is forced, that alone; at whole blocks of a weight.
std::vector<int64_t> slice_sizes_of(const Profile& profile,
                                    const GemmPlan& plan,
                                    const GemmTiling& forced) {
  if (forced.wide_n == 0) return slice_sizes(profile, plan);
  const bool is_part = forced.wide_n < plan.gemm.N;
  if (!plan.kind.widens_weight || (is_part && !has_column_slices(plan))) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     std::string("tiling: wide_n needs a weight that is "
                                 "widened, with whole columns together; ") +
                         name_of(plan.gemm.scheme) + " here has none");
  }
  const int64_t unit = is_part ? fractal_k(plan.kind.cube) : plan.gemm.N;
  return {round_down(forced.wide_n, unit)};
}

// The tiling that the slice with the most rows asks for, and what all cost with
// it.
Found search_slices(const Profile& profile, const GemmPlan& plan,
                    const GemmTiling& options) {
  constexpr double kAnything = std::numeric_limits<double>::infinity();
  GemmTiling forced = options;
  if (PartsSummary(plan.parts).num_active > 1) forced.split_k = 1;
  std::vector<SliceSample> samples = sample_slices(plan);
  Found found = search(profile, samples.front().plan, forced);
  found.cycles *= samples.front().count;
  for (size_t i = 1; i < samples.size(); ++i) {
    GemmPlan& one = samples[i].plan;
    one.tiling = found.tiling;
    found.cycles +=
        samples[i].count * GemmModel(profile, one)
                               .cost({profile, one, layout_of(profile, one)},
                                     kSearchEffort, kAnything)
                               .cycles;
  }
  found.tiling.wide_n = plan.tiling.wide_n;
  return found;
}

}  // namespace

GemmPlan plan_gemm(const Profile& profile, const Gemm& gemm,
                   const std::vector<int64_t>& rows,
                   const SimulateOptions& options) {
  GemmPlan plan;
  plan.gemm = gemm;
  plan.kind = kind_of(profile, gemm);
  check_forced(profile, gemm, options.tiling);
  check_sums(plan.kind, options.tiling);
  int64_t begin = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    plan.parts.push_back({rows[i], begin, static_cast<int64_t>(i)});
    begin += rows[i];
  }
  plan.cores = gemm.cores > 0 ? gemm.cores : profile.cube_cores;
  plan.double_buffer = options.double_buffer;
  plan.uses_swizzle = options.swizzle;

  Found found = search(profile, plan, options.tiling);
  for (const int64_t wide_n : slice_sizes_of(profile, plan, options.tiling)) {
    plan.tiling.wide_n = wide_n;
    const Found sliced = search_slices(profile, plan, options.tiling);
    if (options.tiling.wide_n > 0 || sliced.cycles < found.cycles) {
      found = sliced;
    }
  }
  plan.tiling = found.tiling;
  return plan;
}

}  // namespace tessera::npu
