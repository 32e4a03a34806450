// SPDX-License-Identifier: Apache-2.0
//
// The search: tile sizes that are multiples of fractals, the largest packets
// that fit L1 twice, and splits of K where tiles are fewer than cores.

#include "backends/npu_sim/compiler/gemm/plan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "backends/npu_sim/compiler/gemm/candidates.hpp"
#include "backends/npu_sim/compiler/gemm/fit.hpp"
#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/compiler/gemm/model.hpp"
#include "backends/npu_sim/compiler/gemm/slices.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kFractalRows = 16;
// Tilings that promise less than the best and keep to it, until only those next
// to the best are tried.
constexpr int kPatience = 4;

int64_t most_tile_rows(const GemmPlan& plan) {
  int64_t rows = 1;
  for (const GemmPart& part : plan.parts) {
    rows = std::max(rows, plan.tiles_m(part));
  }
  return rows;
}

// Rows of tiles that the cores of a wave share evenly with columns: the least
// bytes in flight for the most reuse.
int64_t even_swizzle(const GemmPlan& plan, const GemmTiling& tiling) {
  if (!plan.uses_swizzle) return 1;
  const double even =
      std::sqrt(static_cast<double>(plan.cores * tiling.tile_n) /
                static_cast<double>(tiling.tile_m));
  return std::clamp<int64_t>(std::llround(even), 1, most_tile_rows(plan));
}

// Rows of tiles whose input takes half of what L2 keeps: beside it passes the
// weight, once for all of them.
int64_t kept_swizzle(const Profile& profile, const GemmPlan& plan,
                     const GemmTiling& tiling) {
  const double kept = static_cast<double>(profile.global.l2_bytes) *
                      profile.assumptions.l2_capacity_share / 2;
  const auto panel = static_cast<double>(
      bytes_of_elements(plan.kind.cube, tiling.tile_m * plan.gemm.K));
  return std::clamp<int64_t>(static_cast<int64_t>(kept / panel), 1,
                             most_tile_rows(plan));
}

// The best first; of those near it no more than asked for.
template <typename Choice>
void keep_best(std::vector<Choice>& choices, const SearchBreadth& breadth) {
  std::sort(
      choices.begin(), choices.end(),
      [](const Choice& a, const Choice& b) { return a.cycles < b.cycles; });
  const double most = breadth.within * choices.front().cycles;
  const auto far =
      std::find_if(choices.begin(), choices.end(),
                   [&](const Choice& one) { return one.cycles > most; });
  choices.erase(far, choices.end());
  if (choices.size() > breadth.most) choices.resize(breadth.most);
}

// A plan should not need all of L2: where DRAM has no time to write results
// back, inputs that found room there no longer do.
constexpr GemmEffort kSearchEffort{1, 0.5};
// Tiles whose bands are chosen with care.
constexpr SearchBreadth kRefined{2, 1.05};

struct Found {
  GemmTiling tiling;
  double cycles = std::numeric_limits<double>::infinity();
};

struct Search {
  const Profile& profile;
  GemmTiling forced;
  GemmPlan plan;
  GemmModel model;
  SearchBreadth breadth;
  double limit;  // what another search has found already
  Found best;
  std::vector<Found> near;  // all that came near the best of their moment, if
                            // more than that is asked for
  int64_t least_side = 64;  // of tiles on a long side, where small ones never
                            // win; unless memories hold no others
  bool may_refine = false;  // bands of tile rows make a difference

  // More cycles than these interest nobody.
  double enough() const {
    return (may_refine ? std::max(breadth.within, kRefined.within)
                       : breadth.within) *
           std::min(best.cycles, limit);
  }
  // Whether there is something to be better than.
  bool has_rival() const { return std::isfinite(std::min(best.cycles, limit)); }
  // Tries one tile size with both numbers of accumulators.
  void consider(int64_t tile_m, int64_t tile_n, int64_t split_k);
  // Tries other bands of tile rows for a tile: the higher, the fewer times the
  // weight is read; the lower, the longer its input stays in L2.
  void refine_swizzle(Found& found);
  // What was asked for, the best first; empty if nothing fits.
  std::vector<Found> take();
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
  if (std::isinf(best.cycles)) {
    may_refine = forced.swizzle == 0 && plan.uses_swizzle && !model.fits(plan);
  }
  if (tiling.swizzle == 0) {
    plan.tiling.swizzle = even_swizzle(plan, tiling);
    if (may_refine) {
      plan.tiling.swizzle =
          std::max(plan.tiling.swizzle, kept_swizzle(profile, plan, tiling));
    }
  }
  const GemmContext context{profile, plan, layout_of(profile, plan)};
  if (misfit(profile, context.layout)) return;
  const double cycles = model.cost(context, kSearchEffort, enough()).cycles;
  if (cycles >= enough()) return;
  near.push_back({plan.tiling, cycles});
  if (cycles < best.cycles) best = {plan.tiling, cycles};
}

void Search::refine_swizzle(Found& found) {
  plan.tiling = found.tiling;
  const int64_t rows = most_tile_rows(plan);
  for (int64_t parts = 1; parts <= rows; parts *= 2) {
    plan.tiling.swizzle = ceil_div(rows, parts);
    const GemmContext context{profile, plan, layout_of(profile, plan)};
    const double cycles =
        model.cost(context, kSearchEffort, found.cycles).cycles;
    if (cycles < found.cycles) found = {plan.tiling, cycles};
  }
}

std::vector<Found> Search::take() {
  if (std::isinf(best.cycles)) return {};
  if (breadth.most == 1) keep_best(near, kRefined);
  for (Found& found : near) {
    if (may_refine) refine_swizzle(found);
  }
  keep_best(near, breadth);
  return std::move(near);
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

// The most promising first, until several have promised too much; then what
// lies next to the best.  All that may come near, if more is asked for than the
// best.
void search_tiles(Search& search) {
  std::vector<Candidate> candidates =
      candidates_of(search.profile, search.plan, search.model.parts(),
                    search.forced, search.least_side);
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) {
              return a.promise < b.promise;
            });
  const double before = search.model.cycles_before();
  const Candidate* best = nullptr;
  const auto improves = [&](Candidate& one) {
    const double cycles = search.best.cycles;
    one.is_seen = true;
    search.consider(one.tile_m, one.tile_n, one.split_k);
    if (search.best.cycles == cycles) return false;
    best = &one;
    return true;
  };
  const auto is_less = [&](const Candidate& one) {
    return before + one.least_cycles < search.enough();
  };
  int in_vain = 0;
  for (Candidate& one : candidates) {
    if (search.has_rival() && !is_less(one)) continue;
    in_vain = improves(one) || !search.has_rival() ? 0 : in_vain + 1;
    if (in_vain == kPatience && search.breadth.most == 1) break;
  }
  const auto moves = [&] {
    return std::any_of(candidates.begin(), candidates.end(),
                       [&](Candidate& one) {
                         return !one.is_seen && one.is_next_to(*best) &&
                                is_less(one) && improves(one);
                       });
  };
  while (best != nullptr && moves()) {
  }
}

std::vector<Found> search(const Profile& profile, const GemmPlan& plan,
                          const GemmTiling& forced,
                          const SearchBreadth& breadth, double limit) {
  Search search{profile, forced, plan, GemmModel(profile, plan),
                breadth, limit,  {},   {}};
  search.forced.wide_n = 0;
  search_tiles(search);
  if (!search.has_rival()) {
    search.least_side = kFractalRows;
    search_tiles(search);
  }
  std::vector<Found> found = search.take();
  if (!found.empty() || std::isfinite(limit)) return found;
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

// The tilings that the slice with the most rows asks for, and what all cost
// with them; none if that is not less than `limit`.
std::vector<Found> search_slices(const Profile& profile, const GemmPlan& plan,
                                 const GemmTiling& options,
                                 const SearchBreadth& breadth, double limit) {
  constexpr double kAnything = std::numeric_limits<double>::infinity();
  GemmTiling forced = options;
  if (PartsSummary(plan.parts).num_active > 1) forced.split_k = 1;
  std::vector<SliceSample> samples = sample_slices(plan);
  std::vector<Found> all = search(profile, samples.front().plan, forced,
                                  breadth, limit / samples.front().count);
  for (Found& found : all) {
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
  }
  return all;
}

GemmPlan without_tiling(const Profile& profile, const Gemm& gemm,
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
  return plan;
}

}  // namespace

std::vector<GemmPlan> promising_plans(const Profile& profile, const Gemm& gemm,
                                      const std::vector<int64_t>& rows,
                                      const SimulateOptions& options,
                                      const SearchBreadth& breadth) {
  GemmPlan plan = without_tiling(profile, gemm, rows, options);
  constexpr double kAnything = std::numeric_limits<double>::infinity();
  std::vector<Found> all =
      search(profile, plan, options.tiling, breadth, kAnything);
  for (const int64_t wide_n : slice_sizes_of(profile, plan, options.tiling)) {
    plan.tiling.wide_n = wide_n;
    if (options.tiling.wide_n > 0) all.clear();
    double limit = kAnything;
    if (breadth.most == 1) {
      for (const Found& found : all) limit = std::min(limit, found.cycles);
    }
    const std::vector<Found> sliced =
        search_slices(profile, plan, options.tiling, breadth, limit);
    all.insert(all.end(), sliced.begin(), sliced.end());
  }
  keep_best(all, breadth);
  std::vector<GemmPlan> plans(all.size(), plan);
  for (size_t i = 0; i < all.size(); ++i) plans[i].tiling = all[i].tiling;
  return plans;
}

GemmPlan plan_gemm(const Profile& profile, const Gemm& gemm,
                   const std::vector<int64_t>& rows,
                   const SimulateOptions& options) {
  return promising_plans(profile, gemm, rows, options, {}).front();
}

}  // namespace tessera::npu
