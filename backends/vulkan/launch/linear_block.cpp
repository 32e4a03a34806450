// SPDX-License-Identifier: Apache-2.0
//
// Linear by subgroups that compute a block each and read texels: for drivers
// that run shaders on a CPU.

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "backends/vulkan/device.hpp"
#include "backends/vulkan/launch/linear_launch.hpp"

namespace tessera::vulkan {
namespace {

// Rows of a block, for steps of up to `most` rows, and columns of W whose
// products stand in the code side by side.  A texel read takes some 64
// instructions of lavapipe, so blocks have many sums; more than 1,024 products
// of vectors are more code than a processor keeps decoded.
struct BlockSize {
  uint32_t rows;
  uint32_t part;  // 0: a chunk
  uint32_t most;
};
constexpr std::array<BlockSize, 4> kBlocks = {
    {{1, 0, 1}, {4, 16, 4}, {8, 16, 8}, {kMostBlockRows, 8, UINT32_MAX}}};
constexpr uint32_t kLargest = 3;
constexpr uint32_t kOfWholeChunks = 2;  // of 16 codes
constexpr uint32_t kVectors = 8;        // of columns of a block, at most
constexpr uint64_t kBookBytes = 16;

// Bytes of a panel of W8A8SC that processors keep near.
constexpr uint64_t kPanelBytes = uint64_t{8} << 20;

WeightShape expanded(WeightShape shape) {
  constexpr uint32_t kChunk = kTileLayout.chunk_bytes;
  shape.code = sdk::packing::Code::kS8;
  shape.chunk_values = kChunk;
  shape.tile_bytes = shape.columns() * kTileRows;
  return shape;
}

// As shaders/linear_block.comp numbers them.
enum class Scaling : uint32_t { kEnd = 0, kCodes = 1, kGroups = 2 };

class LinearBlock final : public LinearLaunch {
 public:
  LinearBlock(const LaunchInput& input, const tsr_op_linear& op)
      : LinearLaunch(input, op, kMostBlockRows) {
    if (!has_books() || x().max_entries() < kRowsToExpand) return;
    expanded_ = expanded(shape());
    panel_tiles_ =
        std::clamp(static_cast<uint32_t>(kPanelBytes / expanded_.tile_bytes),
                   1U, num_tiles());
    num_panels_ = (num_tiles() + panel_tiles_ - 1) / panel_tiles_;
  }

  bool fits() const {
    const GpuFacts& facts = device().gpu().facts();
    for (const TexelRange& range : weight_texels()) {
      if (!fits_texels(facts, range)) return false;
    }
    return input_bytes() / 16 <= facts.max_texels;
  }

  // Each block size has two: the input, the products.  Each panel has two: the
  // expansion, the products.
  uint32_t num_slots() const override {
    return 2 * (static_cast<uint32_t>(kBlocks.size()) + num_panels_);
  }

  uint64_t scratch_bytes() const override {
    return panel_offset() + panel_bytes();
  }

  void fill(const Step& step, DispatchSlot* slots) override {
    const uint32_t M = x().entries(step);
    const bool expands = num_panels_ > 0 && M >= kRowsToExpand;
    const uint32_t chosen = choose(M, expands ? expanded_ : shape());
    for (uint32_t i = 0; i < num_slots(); ++i) slots[i].groups[0] = 0;
    const bool is_there = shares_input() || reads_x_in_place(step);
    const uint32_t rows = is_there ? 0 : M;
    set_slot(slots[size_t{2} * chosen], input_groups(rows, kBlocks[chosen]), 1,
             activation_args(step, M));
    const LinearArgs args = linear_args(step, M);
    if (expands) {
      fill_panels(step, args, slots + 2 * kBlocks.size());
    } else {
      set_slot(slots[size_t{2} * chosen + 1], row_blocks(M, kBlocks[chosen]),
               column_blocks(num_tiles()), args);
    }
  }

  Dispatch dispatch(const Step& step, uint32_t slot) override {
    if (slot >= 2 * kBlocks.size()) {
      return slot % 2 == 0 ? expand() : multiply_panel(step);
    }
    const BlockSize& block = kBlocks[slot / 2];
    return slot % 2 == 0 ? prepare(step, block)
                         : multiply(step, block, shape(), weight_texels());
  }

 private:
  uint64_t arrangement() const override {
    constexpr uint64_t kInBlocks = uint64_t{1} << 32;
    const uint32_t packed = largest_block(shape());
    const uint32_t in_panels =
        num_panels_ == 0 ? packed : largest_block(expanded_);
    return kInBlocks + (in_panels << 16) + (packed << 8) + per_word();
  }

  uint32_t choose(uint32_t M, const WeightShape& weight) const {
    uint32_t i = 0;
    while (M > kBlocks[i].most && i < largest_block(weight)) ++i;
    return i;
  }

  // Integers have less code to a sum, so a part may be a chunk.
  uint32_t largest_block(const WeightShape& weight) const {
    const bool whole =
        is_integer() && weight.chunk_values == kBlocks[kOfWholeChunks].part;
    return whole ? kOfWholeChunks : kLargest;
  }

  // Of activation_block.comp: for each four rows of a block.
  static uint64_t input_groups(uint32_t rows, const BlockSize& block) {
    constexpr uint32_t kStored = 4;
    return row_groups(block.rows < kStored ? rows
                                           : (rows + kStored - 1) / kStored);
  }
  static uint64_t row_blocks(uint32_t M, const BlockSize& block) {
    return (M + block.rows - 1) / block.rows;
  }
  uint64_t column_blocks(uint32_t tiles) const {
    const uint32_t lanes = device().gpu().facts().subgroup_size;
    return uint64_t{tiles} * (kTileRows / (num_vectors() * lanes));
  }

  uint32_t num_vectors() const {
    return std::min(kVectors, kTileRows / device().gpu().facts().subgroup_size);
  }

  Scaling scaling_of(const BlockSize& block) const {
    if (shape().has_mins) return Scaling::kCodes;
    if (shape().is_per_channel() || shape().scale_bits == 0) {
      return Scaling::kEnd;
    }
    return is_integer() || block.rows == 1 ? Scaling::kGroups : Scaling::kCodes;
  }

  // Columns of a part, which are a multiple or a share of a chunk's.
  uint32_t part_of(const BlockSize& block, const WeightShape& weight) const {
    const bool fits = block.part != 0 && weight.padded_group % block.part == 0;
    return fits ? block.part : weight.chunk_values;
  }

  // Of x: codes as s8, or as s16 where a zero point is taken off.
  uint32_t per_word() const {
    if (!is_integer()) return 1;
    return sdk::packing::uses_static_act(op().act_quant) ? 2 : 4;
  }

  bool has_small_planes() const {
    return weight().permutation() != nullptr ||
           weight().input_multiplier() != nullptr;
  }

  TexelRange x_texels(const Step& step) const {
    return step.places.tensor_texels(x().id());
  }

  // Four columns are four elements of x, which begin at a multiple of four.
  bool reads_x_texels(const Step& step) const {
    const bool whole = shape().num_groups == 1 || shape().group_size % 4 == 0;
    const uint64_t row_bytes = static_cast<uint64_t>(x().entry_stride()) *
                               (x().dtype() == TSR_F32 ? 4 : 2);
    return whole && !has_small_planes() && row_bytes % 16 == 0 &&
           fits_texels(device().gpu().facts(), x_texels(step));
  }

  bool reads_x_in_place(const Step& step) const {
    return x().entries(step) == 1 && op().act_quant == TSR_ACT_FLOAT &&
           x().dtype() == TSR_F32 && !has_small_planes() &&
           shape().columns() == shape().K &&
           fits_texels(device().gpu().facts(), x_texels(step));
  }

  // Stored columns are those of x, but for padding behind the last.
  bool is_dense() const {
    return shape().num_groups == 1 ||
           shape().group_size == shape().padded_group;
  }

  Dispatch prepare(const Step& step, const BlockSize& block) const {
    const bool texels = reads_x_texels(step);
    Dispatch dispatch;
    dispatch.pipeline = device().pipelines().get(
        "activation_block", {block.rows, is_integer() ? per_word() : 0U,
                             texels ? static_cast<uint32_t>(x().dtype()) : 0U,
                             op().act_quant, is_dense() ? 1U : 0U});
    dispatch.texels = {texels ? x_texels(step) : scratch_texels(step, 16)};
    return dispatch;
  }

  Dispatch multiply(const Step& step, const BlockSize& block,
                    const WeightShape& weight,
                    std::vector<TexelRange> texels) const {
    std::vector<uint32_t> constants = linear_constants(weight, is_integer());
    constants.push_back(block.rows);
    constants.push_back(num_vectors());
    constants.push_back(static_cast<uint32_t>(epilogue()));
    constants.push_back(static_cast<uint32_t>(scaling_of(block)));
    constants.push_back(part_of(block, weight));
    constants.push_back(per_word());
    Dispatch dispatch;
    const bool books = weight.code == sdk::packing::Code::kBook;
    dispatch.pipeline = device().pipelines().get(
        books ? "linear_block.books" : "linear_block", constants);
    const TexelRange values = reads_x_in_place(step)
                                  ? x_texels(step)
                                  : scratch_texels(step, input_bytes());
    texels.insert(texels.begin() + 1, values);
    dispatch.texels = std::move(texels);
    return dispatch;
  }

  // Of the op's scratch: a panel lies behind the input.
  uint64_t panel_offset() const {
    constexpr uint64_t kAlignment = 128;
    const uint64_t input = LinearLaunch::scratch_bytes();
    return (input + kAlignment - 1) / kAlignment * kAlignment;
  }
  uint64_t panel_bytes() const {
    return num_panels_ == 0 ? 0 : panel_tiles_ * expanded_.tile_bytes;
  }

  void fill_panels(const Step& step, LinearArgs args,
                   DispatchSlot* slots) const {
    ExpandArgs expand;
    expand.expanded = step.places.scratch(index()) + panel_offset();
    expand.starts = args.starts;
    expand.columns = args.columns;
    expand.num_groups = args.num_groups;
    expand.group_chunks = args.group_chunks;
    args.tile_bytes = expanded_.tile_bytes;
    args.group_chunks =
        static_cast<int32_t>(expanded_.padded_group / expanded_.chunk_values);
    const BlockSize& block = kBlocks[largest_block(expanded_)];
    const uint32_t lanes = device().gpu().facts().subgroup_size;
    for (uint32_t first = 0; first < num_tiles(); first += panel_tiles_) {
      const uint32_t tiles = std::min(panel_tiles_, num_tiles() - first);
      expand.first_tile =
          static_cast<int32_t>(op().n_begin / kTileRows + first);
      args.first_tile = args.codes_tile = expand.first_tile;
      set_slot(slots[0], uint64_t{tiles} * (kTileRows / lanes), 1, expand);
      set_slot(slots[1], row_blocks(static_cast<uint32_t>(args.M), block),
               column_blocks(tiles), args);
      slots += 2;
    }
  }

  Dispatch expand() const {
    const std::vector<TexelRange> texels = weight_texels();
    return {device().pipelines().get("expand_books",
                                     linear_constants(shape(), is_integer())),
            {texels[0], texels[2], texels[3]}};
  }

  Dispatch multiply_panel(const Step& step) const {
    const TexelRange panel =
        step.places.scratch_texels(index(), panel_offset(), panel_bytes());
    const TexelRange none = weight().texels(0, 16, VK_FORMAT_R32_SFLOAT);
    return multiply(step, kBlocks[largest_block(expanded_)], expanded_,
                    {panel, weight_texels()[1], none, none});
  }

  bool has_books() const { return shape().code == sdk::packing::Code::kBook; }

  // Codes, scales, zeros, mins; the first bytes where there are none.  In place
  // of the last two, books and escapes.  Texels of scales are those of the
  // columns that a lane has side by side.
  std::vector<TexelRange> weight_texels() const {
    const bool by_fours = num_vectors() % 4 == 0;
    const VkFormat halves =
        by_fours ? VK_FORMAT_R16G16B16A16_SFLOAT : VK_FORMAT_R16_SFLOAT;
    const VkFormat floats =
        by_fours ? VK_FORMAT_R32G32B32A32_SFLOAT : VK_FORMAT_R32_SFLOAT;
    const uint64_t blocked =
        uint64_t{shape().num_tiles()} * kTileRows * shape().num_groups;
    const auto section = [&](bool exists, uint64_t offset, uint64_t bits) {
      const VkFormat format = exists && bits == 16 ? halves : floats;
      return exists ? weight().texels(offset, blocked * bits / 8, format)
                    : weight().texels(0, 16, format);
    };
    std::vector<TexelRange> ranges = {
        weight().texels(0, shape().num_tiles() * shape().tile_bytes,
                        VK_FORMAT_R32G32B32A32_UINT),
        section(shape().scale_bits != 0, shape().scales_offset,
                shape().scale_bits)};
    if (has_books()) {
      ranges.push_back(weight().texels(shape().books_offset,
                                       shape().num_books() * kBookBytes,
                                       VK_FORMAT_R32G32B32A32_UINT));
      ranges.push_back(weight().texels(shape().escapes_offset,
                                       (shape().max_escapes + 1) * 2,
                                       VK_FORMAT_R16_UINT));
    } else {
      ranges.push_back(section(shape().has_zeros, shape().zeros_offset, 32));
      ranges.push_back(section(shape().has_mins, shape().mins_offset, 32));
    }
    return ranges;
  }

  // Of books: none, where no step has as many rows.
  WeightShape expanded_{};
  uint32_t panel_tiles_ = 0;
  uint32_t num_panels_ = 0;
};

}  // namespace

std::unique_ptr<Launch> make_linear_block(const LaunchInput& input,
                                          const tsr_op_linear& op) {
  auto launch = std::make_unique<LinearBlock>(input, op);
  if (!launch->fits()) return nullptr;
  return launch;
}

}  // namespace tessera::vulkan
