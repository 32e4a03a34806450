// SPDX-License-Identifier: Apache-2.0
//
// Linear by work-groups of 64 invocations, each with rows and columns of its
// own.

#include "backends/vulkan/device.hpp"
#include "backends/vulkan/launch/linear_launch.hpp"

namespace tessera::vulkan {
namespace {

// Of an invocation, where M > 1 and where there are enough tiles.
constexpr uint32_t kManyRows = 4;
constexpr uint32_t kManyColumns = 4;

enum Slot : uint32_t { kPrepare, kOneRow, kManyRowsSlot, kNumSlots };

class LinearTile final : public LinearLaunch {
 public:
  LinearTile(const LaunchInput& input, const tsr_op_linear& op)
      : LinearLaunch(input, op, kManyRows) {
    // A GPU needs more work-groups than wide ones leave.
    const bool is_wide =
        device().gpu().facts().is_cpu && shape().num_tiles() >= kManyColumns;
    columns_ = is_wide ? kManyColumns : 1;
  }

  uint32_t num_slots() const override { return kNumSlots; }

  void fill(const Step& step, DispatchSlot* slots) override {
    const uint32_t M = x().entries(step);
    const LinearArgs args = linear_args(step, M);
    const uint32_t groups = (num_tiles() + columns_ - 1) / columns_;
    const uint32_t blocks = M == 1 ? 0 : (M + kManyRows - 1) / kManyRows;
    set_slot(slots[kPrepare], row_groups(M), 1, activation_args(step, M));
    set_slot(slots[kOneRow], groups, M == 1 ? 1 : 0, args);
    set_slot(slots[kManyRowsSlot], groups, blocks, args);
  }

  Dispatch dispatch(const Step& /*step*/, uint32_t slot) override {
    Pipelines& pipelines = device().pipelines();
    if (slot == kPrepare) return {pipelines.get("activation", {}), {}};
    std::vector<uint32_t> constants = linear_constants(shape(), is_integer());
    constants.push_back(slot == kOneRow ? 1 : kManyRows);
    constants.push_back(columns_);
    return {pipelines.get("linear", constants), {}};
  }

 private:
  uint32_t columns_;  // of an invocation
};

}  // namespace

std::unique_ptr<Launch> make_linear_tile(const LaunchInput& input,
                                         const tsr_op_linear& op) {
  return std::make_unique<LinearTile>(input, op);
}

}  // namespace tessera::vulkan
