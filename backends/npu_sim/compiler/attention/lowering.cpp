// SPDX-License-Identifier: Apache-2.0
//
// The cube part computes scores of later tiles before the values of tile j, so
// that the softmax of j has the time of their products to finish.

#include "backends/npu_sim/compiler/attention/lowering.hpp"

#include <algorithm>
#include <memory>

#include "backends/npu_sim/compiler/attention/emitter.hpp"
#include "backends/npu_sim/compiler/attention/flags.hpp"
#include "backends/npu_sim/compiler/attention/merge.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kTilesPerSection = 16;

struct AttentionLowering {
  Profile profile;
  AttentionPlan plan;
  std::vector<Pass> before;
};

int64_t num_tiles(const AttentionPlan& plan, int64_t core) {
  const auto& works = plan.work[static_cast<size_t>(core)];
  return works.empty()
             ? 0
             : works.back().tiles_before + plan.tiles_of(works.back());
}

// The tile `index` of a core, counted over all its works.
KeyTile tile_at(const AttentionPlan& plan, int64_t core, int64_t index) {
  const auto& works = plan.work[static_cast<size_t>(core)];
  const auto after =
      std::upper_bound(works.begin(), works.end(), index,
                       [](int64_t tile, const AttentionWork& work) {
                         return tile < work.tiles_before;
                       });
  const AttentionWork& work = *(after - 1);
  const int64_t j = index - work.tiles_before;
  const int64_t begin = work.key_begin + j * plan.tile_keys;
  return {&work,
          core,
          after - 1 - works.begin(),
          index,
          begin,
          std::min(plan.tile_keys, work.key_end - begin),
          j == 0,
          j + 1 == plan.tiles_of(work),
          num_tiles(plan, core)};
}

// first(j + preload), second(j) for the tiles of a section; its first also
// starts what runs ahead.  Works follow each other without a gap.  A cache that
// is widened is some tiles further: ahead(j + preload + n, K), then ahead(j +
// n, V).
template <typename Ahead, typename First, typename Second>
void stagger(const AttentionPlan& plan, int64_t core, int64_t section,
             Ahead ahead, First first, Second second) {
  const int64_t count = num_tiles(plan, core);
  const int64_t begin = (section - 1) * kTilesPerSection;
  const int64_t end = std::min(count, begin + kTilesPerSection);
  const auto widen = [&](int64_t index, CachePart part) {
    if (plan.widening == Widening::kAhead && index >= 0 && index < count) {
      ahead(tile_at(plan, core, index), part);
    }
  };
  const int64_t lead = plan.widen_ahead();
  for (int64_t j = section == 1 ? -plan.preload - lead : begin; j < end; ++j) {
    const int64_t next = j + plan.preload;
    widen(next + lead, CachePart::kKeys);
    if (next >= 0 && next < count) first(tile_at(plan, core, next));
    if (!plan.attention.v_in_k) widen(j + lead, CachePart::kValues);
    if (j >= 0) second(tile_at(plan, core, j));
  }
}

constexpr auto kNothingAhead = [](const KeyTile&, CachePart) {};

// The scores of a section's tiles for their maxima alone.
template <typename Each>
void each_maximum(const AttentionPlan& plan, int64_t core, int64_t section,
                  Each each) {
  const int64_t begin = (section - 1) * kTilesPerSection;
  const int64_t end = std::min(num_tiles(plan, core), begin + kTilesPerSection);
  for (int64_t j = begin; j < end; ++j) {
    KeyTile tile = tile_at(plan, core, j);
    tile.is_maximum = true;
    each(tile);
  }
}

void emit_unified_work(AttentionEmitter& emitter, const AttentionPlan& plan,
                       int64_t core, int64_t section) {
  stagger(
      plan, core, section,
      [&](const KeyTile& tile, CachePart part) {
        emitter.widen(tile, part, 0);
      },
      [&](const KeyTile& tile) {
        emitter.scores(tile);
        emitter.softmax(tile, 0);
      },
      [&](const KeyTile& tile) {
        emitter.values(tile);
        if (tile.is_last) {
          emitter.write_result(tile, 0, tile.work->rows);
        }
      });
}

void emit_cube_work(AttentionEmitter& emitter, const AttentionPlan& plan,
                    int64_t core, int64_t section) {
  stagger(
      plan, core, section, kNothingAhead,
      [&](const KeyTile& tile) { emitter.scores(tile); },
      [&](const KeyTile& tile) { emitter.values(tile); });
}

void emit_vector_work(AttentionEmitter& emitter, const AttentionPlan& plan,
                      int64_t core, int64_t section, int64_t sibling) {
  stagger(
      plan, core, section,
      [&](const KeyTile& tile, CachePart part) {
        emitter.widen(tile, part, sibling);
      },
      [&](const KeyTile& tile) { emitter.softmax(tile, sibling); },
      [&](const KeyTile& tile) { emitter.update(tile, sibling); });
}

int64_t num_tile_sections(const AttentionPlan& plan, int64_t core) {
  return (num_tiles(plan, core) + kTilesPerSection - 1) / kTilesPerSection;
}

// Of scores that are made for their maxima; all cores meet after the last, also
// those without work.
int64_t num_maximum_sections(const AttentionPlan& plan, int64_t core) {
  return plan.is_integer() ? std::max<int64_t>(1, num_tile_sections(plan, core))
                           : 0;
}

// A core of a launch: which of its group, and its lane of vector work.
struct Place {
  Place(const AttentionLowering& lowering, int64_t core)
      : is_unified(lowering.profile.unified_cores) {
    const int64_t width = is_unified ? 1 : 3;
    group = core / width;
    sibling = core % width;
    lane = group * lowering.plan.num_lanes + (is_unified ? 0 : sibling - 1);
  }
  bool has_vector() const { return is_unified || sibling > 0; }

  bool is_unified;
  int64_t group = 0;
  int64_t sibling = 0;
  int64_t lane = 0;
};

void emit_work(AttentionEmitter& emitter, const AttentionPlan& plan,
               const Place& place, int64_t section) {
  if (place.is_unified) {
    emit_unified_work(emitter, plan, place.group, section);
  } else if (place.sibling == 0) {
    emit_cube_work(emitter, plan, place.group, section);
  } else {
    emit_vector_work(emitter, plan, place.group, section, place.sibling);
  }
}

void emit_maxima(AttentionEmitter& emitter, const AttentionPlan& plan,
                 const Place& place, int64_t section) {
  each_maximum(plan, place.group, section, [&](const KeyTile& tile) {
    if (place.sibling == 0) emitter.scores(tile);
    if (place.has_vector()) emitter.maxima(tile, place.sibling);
  });
}

void emit_passes(const AttentionLowering& lowering,
                 const std::vector<Pass>& passes, const Place& place,
                 Emitter& out) {
  if (!place.has_vector()) return;
  const int64_t lanes = lowering.plan.cores * lowering.plan.num_lanes;
  for (const Pass& pass : passes) {
    emit_pass(lowering.profile, pass, place.lane, lanes, out);
  }
}

void emit_section(const AttentionLowering& lowering, int64_t core,
                  int64_t section, std::vector<Instruction>& made) {
  const AttentionPlan& plan = lowering.plan;
  const Place place(lowering, core);
  Emitter out(made);
  AttentionEmitter emitter(lowering.profile, plan, out);
  const int64_t tiles = num_tile_sections(plan, place.group);
  const int64_t maxima = num_maximum_sections(plan, place.group);
  if (section == 0) {
    emit_passes(lowering, lowering.before, place, out);
    if (plan.widening == Widening::kOnce && place.has_vector()) {
      emitter.widen_cache(place.lane, plan.cores * plan.num_lanes);
    }
    if (!lowering.before.empty() || plan.widening == Widening::kOnce) {
      out.sync_all();
    }
    emitter.primes(place.sibling == 0, place.has_vector());
  } else if (section <= maxima) {
    emit_maxima(emitter, plan, place, section);
    if (section == maxima) out.sync_all();
  } else if (section <= maxima + tiles) {
    emit_work(emitter, plan, place, section - maxima);
  } else if (plan.num_splits > 1) {
    out.sync_all();
    if (place.has_vector()) {
      emit_merge(lowering.profile, plan, place.lane,
                 plan.cores * plan.num_lanes, out);
    }
  }
}

}  // namespace

std::vector<Pass> attention_passes_before(const Profile& profile,
                                          const AttentionPlan& plan) {
  if (!plan.is_integer()) return {};
  Pass pass;
  pass.elements = plan.num_rows() * plan.attention.qk_dim;
  pass.output = Tensor::kCodes;
  pass.out = Type::kS8;
  pass.row_elements = plan.attention.qk_dim;
  pass.row_scales = Tensor::kMarks;
  pass.row_scale_bits = 8 * kBeatBytes;
  // In 32 bit: cast, scale, two casts back, and whether all is finite.
  pass.elements_per_cycle = profile.vector.bytes_per_cycle / kFloatBytes;
  pass.passes = 5;
  pass.function = VectorFunction::kQuantizeHeads;
  return {pass};
}

Stream lower_attention(const Profile& profile, const AttentionPlan& plan) {
  auto lowering = std::make_shared<AttentionLowering>();
  lowering->profile = profile;
  lowering->plan = plan;
  lowering->before = attention_passes_before(profile, plan);
  Stream stream;
  stream.label = "attention";
  const int64_t width = profile.unified_cores ? 1 : 3;
  for (int64_t group = 0; group < plan.cores; ++group) {
    for (int64_t sibling = 0; sibling < width; ++sibling) {
      Stream::Core core;
      core.has_cube = sibling == 0;
      core.has_vector = profile.unified_cores || sibling > 0;
      core.group = group;
      core.sibling = sibling;
      core.num_sections = 2 + num_tile_sections(plan, group) +
                          num_maximum_sections(plan, group);
      stream.cores.push_back(core);
    }
  }
  stream.emit = [lowering](int64_t core, int64_t section,
                           std::vector<Instruction>& out) {
    emit_section(*lowering, core, section, out);
  };
  return stream;
}

}  // namespace tessera::npu
