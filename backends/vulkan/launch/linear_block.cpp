// SPDX-License-Identifier: Apache-2.0
//
// Linear by subgroups that compute a block each and read texels: for drivers
// that run shaders on a CPU.

#include <algorithm>
#include <array>

#include "backends/vulkan/device.hpp"
#include "backends/vulkan/launch/linear_launch.hpp"

namespace tessera::vulkan {
namespace {

// Rows and vectors of columns of a block, for steps of up to `most` rows: as
// many as registers hold sums.
struct BlockSize {
  uint32_t rows;
  uint32_t columns;
  uint32_t most;
};
constexpr std::array<BlockSize, 4> kBlocks = {
    {{1, 8, 1}, {4, 4, 4}, {8, 4, 8}, {16, 4, UINT32_MAX}}};
constexpr uint32_t kMaxRows = 16;
constexpr uint64_t kBookBytes = 16;

// As shaders/linear_block.comp numbers them.
enum class Scaling : uint32_t { kEnd = 0, kCodes = 1, kGroups = 2 };

class LinearBlock final : public LinearLaunch {
 public:
  LinearBlock(const LaunchInput& input, const tsr_op_linear& op)
      : LinearLaunch(input, op, kMaxRows) {}

  bool fits() const {
    const GpuFacts& facts = device().gpu().facts();
    for (const TexelRange& range : weight_texels()) {
      if (!fits_texels(facts, range)) return false;
    }
    return input_bytes() / 16 <= facts.max_texels;
  }

  // Each block size has two: the input, the products.
  uint32_t num_slots() const override { return 2 * kBlocks.size(); }

  void fill(const Step& step, DispatchSlot* slots) override {
    const uint32_t M = x().entries(step);
    const uint32_t chosen = choose(M);
    for (uint32_t i = 0; i < kBlocks.size(); ++i) {
      DispatchSlot& prepare = slots[size_t{2} * i];
      DispatchSlot& multiply = slots[size_t{2} * i + 1];
      if (i != chosen) {
        prepare.groups[0] = multiply.groups[0] = 0;
        continue;
      }
      const uint32_t lanes = device().gpu().facts().subgroup_size;
      const bool is_there = shares_input() || reads_x_in_place(step);
      const uint32_t rows = is_there ? 0 : M;
      set_slot(prepare, row_groups(rows), 1, activation_args(step, M));
      const uint32_t width = columns_of(kBlocks[i]) * lanes;
      set_slot(multiply, (M + kBlocks[i].rows - 1) / kBlocks[i].rows,
               uint64_t{num_tiles()} * (kTileRows / width),
               linear_args(step, M));
    }
  }

  Dispatch dispatch(const Step& step, uint32_t slot) override {
    const BlockSize& block = kBlocks[slot / 2];
    return slot % 2 == 0 ? prepare(step, block) : multiply(step, block);
  }

 private:
  uint64_t arrangement() const override {
    constexpr uint64_t kInBlocks = uint64_t{1} << 32;
    return kInBlocks + per_word();
  }

  static uint32_t choose(uint32_t M) {
    uint32_t i = 0;
    while (M > kBlocks[i].most) ++i;
    return i;
  }

  uint32_t columns_of(const BlockSize& block) const {
    const uint32_t lanes = device().gpu().facts().subgroup_size;
    return std::min(block.columns, kTileRows / lanes);
  }

  Scaling scaling_of(const BlockSize& block) const {
    if (shape().has_mins) return Scaling::kCodes;
    if (shape().is_per_channel() || shape().scale_bits == 0) {
      return Scaling::kEnd;
    }
    return is_integer() || block.rows == 1 ? Scaling::kGroups : Scaling::kCodes;
  }

  // Chunks of a step: 16 columns, where groups have as many.
  uint32_t step_of(const BlockSize& block) const {
    const uint32_t chunk = shape().chunk_values;
    if (block.rows == 1 || chunk >= 16) return 1;
    return shape().padded_group % 16 == 0 ? 16 / chunk : 1;
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

  Dispatch prepare(const Step& step, const BlockSize& block) const {
    const bool texels = reads_x_texels(step);
    Dispatch dispatch;
    dispatch.pipeline = device().pipelines().get(
        "activation_block",
        {block.rows, is_integer() ? per_word() : 0U, texels ? 1U : 0U});
    dispatch.texels = {texels ? x_texels(step) : scratch_texels(step, 16)};
    return dispatch;
  }

  Dispatch multiply(const Step& step, const BlockSize& block) const {
    std::vector<uint32_t> constants = linear_constants(shape(), is_integer());
    constants.push_back(block.rows);
    constants.push_back(columns_of(block));
    constants.push_back(static_cast<uint32_t>(epilogue()));
    constants.push_back(static_cast<uint32_t>(scaling_of(block)));
    constants.push_back(step_of(block));
    constants.push_back(per_word());
    Dispatch dispatch;
    dispatch.pipeline = device().pipelines().get(
        has_books() ? "linear_block.books" : "linear_block", constants);
    dispatch.texels = weight_texels();
    const TexelRange values = reads_x_in_place(step)
                                  ? x_texels(step)
                                  : scratch_texels(step, input_bytes());
    dispatch.texels.insert(dispatch.texels.begin() + 1, values);
    return dispatch;
  }

  bool has_books() const { return shape().code == sdk::packing::Code::kBook; }

  // Codes, scales, zeros, mins; the first bytes where there are none.  In place
  // of the last two, books and escapes.
  std::vector<TexelRange> weight_texels() const {
    const uint64_t blocked =
        uint64_t{shape().num_tiles()} * kTileRows * shape().num_groups;
    const auto section = [&](bool exists, uint64_t offset, uint64_t bits) {
      const VkFormat format =
          exists && bits == 16 ? VK_FORMAT_R16_SFLOAT : VK_FORMAT_R32_SFLOAT;
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
};

}  // namespace

std::unique_ptr<Launch> make_linear_block(const LaunchInput& input,
                                          const tsr_op_linear& op) {
  auto launch = std::make_unique<LinearBlock>(input, op);
  if (!launch->fits()) return nullptr;
  return launch;
}

}  // namespace tessera::vulkan
