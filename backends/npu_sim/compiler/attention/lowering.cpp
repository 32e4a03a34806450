// SPDX-License-Identifier: Apache-2.0
//
// The cube part computes scores of later tiles before the values of tile j, so
// that the softmax of j has the time of their products to finish.

#include "backends/npu_sim/compiler/attention/lowering.hpp"

#include <algorithm>
#include <memory>

#include "backends/npu_sim/compiler/attention/emitter.hpp"
#include "backends/npu_sim/compiler/attention/merge.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kTilesPerSection = 16;

struct AttentionLowering {
  Profile profile;
  AttentionPlan plan;
  std::vector<Pass> before;
};

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
          j + 1 == plan.tiles_of(work)};
}

int64_t num_tiles(const AttentionPlan& plan, int64_t core) {
  const auto& works = plan.work[static_cast<size_t>(core)];
  return works.empty()
             ? 0
             : works.back().tiles_before + plan.tiles_of(works.back());
}

// first(j + preload), second(j) for the tiles of a section; its first also
// starts what runs ahead.  Works follow each other without a gap.
template <typename First, typename Second>
void stagger(const AttentionPlan& plan, int64_t core, int64_t section,
             First first, Second second) {
  const int64_t count = num_tiles(plan, core);
  const int64_t begin = (section - 1) * kTilesPerSection;
  const int64_t end = std::min(count, begin + kTilesPerSection);
  for (int64_t j = section == 1 ? -plan.preload : begin; j < end; ++j) {
    if (j + plan.preload < count) first(tile_at(plan, core, j + plan.preload));
    if (j >= 0) second(tile_at(plan, core, j));
  }
}

void emit_unified_work(AttentionEmitter& emitter, const AttentionPlan& plan,
                       int64_t core, int64_t section) {
  stagger(
      plan, core, section,
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
      plan, core, section, [&](const KeyTile& tile) { emitter.scores(tile); },
      [&](const KeyTile& tile) { emitter.values(tile); });
}

void emit_vector_work(AttentionEmitter& emitter, const AttentionPlan& plan,
                      int64_t core, int64_t section, int64_t sibling) {
  stagger(
      plan, core, section,
      [&](const KeyTile& tile) { emitter.softmax(tile, sibling); },
      [&](const KeyTile& tile) { emitter.update(tile, sibling); });
}

int64_t num_tile_sections(const AttentionPlan& plan, int64_t core) {
  return (num_tiles(plan, core) + kTilesPerSection - 1) / kTilesPerSection;
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
  if (section == 0) {
    emit_passes(lowering, lowering.before, place, out);
    if (!lowering.before.empty()) out.sync_all();
    emitter.primes(place.sibling == 0, place.has_vector());
  } else if (section <= num_tile_sections(plan, place.group)) {
    if (place.is_unified) {
      emit_unified_work(emitter, plan, place.group, section);
    } else if (place.sibling == 0) {
      emit_cube_work(emitter, plan, place.group, section);
    } else {
      emit_vector_work(emitter, plan, place.group, section, place.sibling);
    }
  } else if (plan.num_splits > 1) {
    out.sync_all();
    if (place.has_vector()) {
      emit_merge(lowering.profile, plan, place.lane,
                 plan.cores * plan.num_lanes, out);
    }
  }
}

}  // namespace

std::vector<Pass> attention_passes_before(const AttentionPlan& plan) {
  if (!plan.widens_cache) return {};
  const Attention& attention = plan.attention;
  int64_t rows = 0;
  for (const int64_t length : attention.seq_lens) {
    rows += length * attention.num_kv_heads;
  }
  Pass keys;
  keys.elements = rows * attention.qk_dim;
  keys.input = Tensor::kWeight;
  keys.output = Tensor::kWideWeight;
  keys.in = Type::kS8;
  keys.passes = 2;
  std::vector<Pass> passes = {keys};
  if (!attention.v_in_k) {
    Pass values = keys;
    values.elements = rows * attention.v_dim;
    values.input = Tensor::kOther;
    values.output = Tensor::kCodes;
    passes.push_back(values);
  }
  return passes;
}

Stream lower_attention(const Profile& profile, const AttentionPlan& plan) {
  auto lowering = std::make_shared<AttentionLowering>();
  lowering->profile = profile;
  lowering->plan = plan;
  lowering->before = attention_passes_before(plan);
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
      core.num_sections = 2 + num_tile_sections(plan, group);
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
