// SPDX-License-Identifier: Apache-2.0
//
// Which core does what and when: slices, the passes before them, tiles, and
// what the vector cores take back of these.

#include "backends/npu_sim/compiler/gemm/lowering.hpp"

#include <array>
#include <memory>

#include "backends/npu_sim/compiler/gemm/epilogue.hpp"
#include "backends/npu_sim/compiler/gemm/passes.hpp"
#include "backends/npu_sim/compiler/gemm/products.hpp"
#include "backends/npu_sim/compiler/gemm/reduce.hpp"

namespace tessera::npu {
namespace {

// What a core does between two places where its instructions may be cut.
struct Section {
  enum class Kind : uint8_t { kBegin, kTile, kEnd };
  Kind kind = Kind::kTile;
  int64_t index = 0;  // of the slice that begins or ends, or the core's tile
};

struct GemmLowering {
  Profile profile;
  GemmPlan plan;
  GemmContext context{profile, plan, {}};
  std::vector<WeightSlice> slices;
  std::vector<std::vector<TileWork>> tiles;    // of each cube core
  std::vector<std::vector<Section>> sections;  // the same
  const WeightSlice& slice(int64_t index) const {
    return slices[static_cast<size_t>(index)];
  }
  // For each tile, the chunks of sums its vector cores have done before.
  std::vector<std::vector<std::array<int64_t, 2>>> chunks_before;
};

int64_t num_lanes(const GemmContext& context) {
  return context.plan.cores * context.num_siblings();
}

int64_t lane_of(const GemmContext& context, int64_t group, int64_t sibling) {
  return group * context.num_siblings() +
         (context.profile.unified_cores ? 0 : sibling - 1);
}

// All cores are done with the slice before, then with the passes before this.
void emit_passes(const GemmContext& context, const WeightSlice& slice,
                 int64_t group, int64_t sibling, Emitter& out) {
  const std::vector<Pass> passes =
      passes_before(context.profile, context.plan, slice);
  if (passes.empty()) return;
  if (slice.index > 0) out.sync_all();
  for (const Pass& pass : passes) {
    if (!context.profile.unified_cores && sibling == 0) break;
    emit_pass(context.profile, pass, lane_of(context, group, sibling),
              num_lanes(context), out);
  }
  out.sync_all();
}

// Of a core between two slices: all its buffers are free.
class Buffers {
 public:
  Buffers(const GemmContext& context, bool has_cube, bool has_vector,
          Emitter& out)
      : context_(context),
        has_cube_(has_cube),
        has_vector_(has_vector && (context.has_tile_epilogue() ||
                                   !context.profile.exit.fixpipe)),
        out_(out) {}

  void prime() {
    each(
        [this](Pipe from, Pipe to, int64_t flag) { out_.set(from, to, flag); });
  }
  // Until nothing is in them, with all flags as before the prime.
  void drain() {
    each([this](Pipe from, Pipe to, int64_t flag) {
      out_.wait(from, to, flag);
    });
  }

 private:
  template <typename Visit>
  void each(const Visit& visit) const;

  const GemmContext& context_;
  bool has_cube_;
  bool has_vector_;
  Emitter& out_;
};

template <typename Visit>
void Buffers::each(const Visit& visit) const {
  if (has_cube_) {
    for (int64_t b = 0; b < context_.layout.buffers; ++b) {
      visit(Pipe::kMte1, Pipe::kMte2, b);
      visit(Pipe::kCube, Pipe::kMte1, b);
    }
    for (int64_t b = 0; b < context_.layout.accumulators; ++b) {
      visit(context_.exit_pipe(), Pipe::kCube, b);
    }
  }
  if (!has_vector_) return;
  if (context_.drains_row_scales()) {
    visit(Pipe::kVector, Pipe::kMte2, kScaleFlag);
    visit(Pipe::kVector, Pipe::kMte2, kScaleFlag + 1);
  }
  for (int64_t b = 0; context_.drains_inputs() && b < 2; ++b) {
    visit(Pipe::kVector, Pipe::kMte2, b);
  }
  const Pipe fills = context_.hands_over() ? Pipe::kMte2 : Pipe::kVector;
  for (int64_t b = 0; b < 2; ++b) visit(Pipe::kMte3, fills, b);
}

void count_chunks(GemmLowering& lowering) {
  const GemmContext& context = lowering.context;
  for (const std::vector<TileWork>& core : lowering.tiles) {
    std::array<int64_t, 2> done{};
    auto& before = lowering.chunks_before.emplace_back();
    for (const TileWork& work : core) {
      before.push_back(done);
      for (int64_t sibling = 1; sibling <= context.num_siblings(); ++sibling) {
        done.at(static_cast<size_t>(sibling - 1)) +=
            chunks_of(context, work, sibling) *
            lowering.plan.kind.num_sums(work.k);
      }
    }
  }
}

// The vector part of a sum of tile `index` of a group.
void take_back(const GemmLowering& lowering, int64_t group, int64_t index,
               int64_t sum, int64_t lane, Emitter& out) {
  const auto at = static_cast<size_t>(index);
  const auto core = static_cast<size_t>(group);
  const TileWork& work = lowering.tiles[core][at];
  const GemmContext& context = lowering.context;
  const int64_t before =
      lowering.chunks_before[core][at].at(static_cast<size_t>(lane - 1)) +
      sum * chunks_of(context, work, lane);
  emit_handed_over(context, work, TileSum(context, work, index, sum), lane,
                   before, out);
}

// What a vector core does beside tile `index`.
void take_tile_back(const GemmLowering& lowering, int64_t group, int64_t index,
                    int64_t sibling, Emitter& out) {
  const TileWork& work =
      lowering.tiles[static_cast<size_t>(group)][static_cast<size_t>(index)];
  for (int64_t sum = 0; sum < lowering.plan.kind.num_sums(work.k); ++sum) {
    take_back(lowering, group, index, sum, sibling, out);
  }
}

// A core that has only one MTE2 takes a sum back after the loads for the next:
// these would wait for it otherwise.
void take_back_late(const GemmLowering& lowering, int64_t group,
                    const TileSum& sum, Emitter& out) {
  constexpr int64_t kOnlyLane = 1;
  const auto& tiles = lowering.tiles[static_cast<size_t>(group)];
  if (sum.group > 0) {
    take_back(lowering, group, sum.tile, sum.group - 1, kOnlyLane, out);
  } else if (sum.tile > 0 && !is_last_of_slice(tiles, sum.tile - 1)) {
    const TileWork& before = tiles[static_cast<size_t>(sum.tile - 1)];
    take_back(lowering, group, sum.tile - 1,
              lowering.plan.kind.num_sums(before.k) - 1, kOnlyLane, out);
  }
  if (sum.is_last && is_last_of_slice(tiles, sum.tile)) {
    take_back(lowering, group, sum.tile, sum.group, kOnlyLane, out);
  }
}

void emit_section(const GemmLowering& lowering, int64_t core, int64_t number,
                  bool has_siblings, Emitter& out) {
  const GemmContext& context = lowering.context;
  const int64_t width = has_siblings ? 1 + context.num_siblings() : 1;
  const int64_t group = core / width;
  const int64_t sibling = core % width;
  const bool is_unified = context.profile.unified_cores;
  const bool has_cube = sibling == 0;
  const bool has_vector = is_unified || sibling > 0;
  const auto& tiles = lowering.tiles[static_cast<size_t>(group)];
  const Section section =
      lowering
          .sections[static_cast<size_t>(group)][static_cast<size_t>(number)];
  if (section.kind == Section::Kind::kBegin) {
    Buffers buffers(context, has_cube, has_vector, out);
    if (section.index > 0) buffers.drain();
    emit_passes(context, lowering.slice(section.index), group, sibling, out);
    buffers.prime();
  } else if (section.kind == Section::Kind::kTile) {
    const bool takes_back = has_vector && context.hands_over();
    if (has_cube) {
      emit_tile(
          context, tiles, section.index,
          [&](const TileSum& sum) {
            if (takes_back) take_back_late(lowering, group, sum, out);
          },
          out);
    } else if (takes_back) {
      take_tile_back(lowering, group, section.index, sibling, out);
    }
  } else if (context.plan.tiling.split_k > 1) {
    out.sync_all();
    if (has_vector) {
      emit_reduce(context, lowering.slice(section.index),
                  lane_of(context, group, sibling), num_lanes(context), out);
    }
  }
}

void number_sections(GemmLowering& lowering) {
  for (const std::vector<TileWork>& tiles : lowering.tiles) {
    std::vector<Section>& sections = lowering.sections.emplace_back();
    size_t next = 0;
    for (const WeightSlice& slice : lowering.slices) {
      sections.push_back({Section::Kind::kBegin, slice.index});
      for (; next < tiles.size() && tiles[next].slice == slice.index; ++next) {
        sections.push_back({Section::Kind::kTile, static_cast<int64_t>(next)});
      }
      sections.push_back({Section::Kind::kEnd, slice.index});
    }
  }
}

}  // namespace

Stream lower_gemm(const Profile& profile, const GemmPlan& plan) {
  auto lowering = std::make_shared<GemmLowering>();
  lowering->profile = profile;
  lowering->plan = plan;
  lowering->context.layout = layout_of(profile, plan);
  lowering->slices = slices_of(plan);
  lowering->tiles = deal_tiles(plan);
  number_sections(*lowering);
  count_chunks(*lowering);
  const GemmContext& context = lowering->context;
  const bool has_siblings =
      !profile.unified_cores &&
      (context.hands_over() || plan.kind.quantizes_input ||
       plan.kind.widens_weight || plan.tiling.split_k > 1);

  Stream stream;
  stream.label = key_of(plan.gemm);
  const int64_t width = has_siblings ? 1 + context.num_siblings() : 1;
  for (int64_t group = 0; group < plan.cores; ++group) {
    for (int64_t sibling = 0; sibling < width; ++sibling) {
      Stream::Core core;
      core.has_cube = sibling == 0;
      core.has_vector = profile.unified_cores || sibling > 0;
      core.group = group;
      core.sibling = sibling;
      core.num_sections = static_cast<int64_t>(
          lowering->sections[static_cast<size_t>(group)].size());
      stream.cores.push_back(core);
    }
  }
  stream.emit = [lowering, has_siblings](int64_t core, int64_t section,
                                         std::vector<Instruction>& out) {
    Emitter emitter(out);
    emit_section(*lowering, core, section, has_siblings, emitter);
  };
  return stream;
}

}  // namespace tessera::npu
