// SPDX-License-Identifier: Apache-2.0
//
// Linear by work-groups that share a tile: each of 64 invocations with rows and
// columns of its own, or four subgroups with products of small matrices.

#include <string>

#include "backends/vulkan/device.hpp"
#include "backends/vulkan/launch/linear_launch.hpp"

namespace tessera::vulkan {
namespace {

// Of an invocation, where M > 1 and where there are enough tiles.
constexpr uint32_t kManyRows = 4;
constexpr uint32_t kManyColumns = 4;
// Rows from which small matrices pay: fewer leave most of a tile empty.
constexpr uint32_t kMatrixRows = 16;

// What a step of so many rows runs; each has two slots, the input and the
// products.
enum Kernel : uint32_t { kOneRow, kFewRows, kMatrix, kNumKernels };

// As shaders/activation.comp numbers them.
enum Values : uint32_t { kF32 = 0, kBytes = 1, kF16 = 2 };

class LinearTile final : public LinearLaunch {
 public:
  LinearTile(const LaunchInput& input, const tsr_op_linear& op)
      : LinearLaunch(input, op, kManyRows) {
    // A GPU needs more work-groups than wide ones leave.
    const bool is_wide =
        device().gpu().facts().is_cpu && shape().num_tiles() >= kManyColumns;
    columns_ = is_wide ? kManyColumns : 1;
  }

  uint32_t num_slots() const override { return 2 * kNumKernels; }

  void fill(const Step& step, DispatchSlot* slots) override {
    const uint32_t M = x().entries(step);
    const Kernel chosen = choose(M);
    for (uint32_t kernel = 0; kernel < kNumKernels; ++kernel) {
      DispatchSlot& prepare = slots[size_t{2} * kernel];
      DispatchSlot& multiply = slots[size_t{2} * kernel + 1];
      if (kernel != chosen) {
        prepare.groups[0] = multiply.groups[0] = 0;
        continue;
      }
      const uint32_t columns = chosen == kMatrix ? 1 : columns_;
      set_slot(prepare, shares_input() ? 0 : row_groups(M), 1,
               activation_args(step, M));
      set_slot(multiply, (num_tiles() + columns - 1) / columns,
               (M + rows_of(chosen) - 1) / rows_of(chosen),
               linear_args(step, M));
    }
  }

  Dispatch dispatch(const Step& /*step*/, uint32_t slot) override {
    const auto kernel = static_cast<Kernel>(slot / 2);
    Pipelines& pipelines = device().pipelines();
    if (slot % 2 == 0) {
      return {pipelines.get("activation", {values_of(kernel)}), {}};
    }
    std::vector<uint32_t> constants = linear_constants(shape(), is_integer());
    constants.push_back(rows_of(kernel));
    constants.push_back(columns_);
    constants.push_back(sdk::packing::uses_static_act(op().act_quant) ? 1 : 0);
    if (kernel != kMatrix) {
      return {pipelines.get(product_shader(), constants), {}};
    }
    const MatrixSize size = matrix_size();
    constants.insert(constants.end(), {size.m, size.n, size.k});
    return {pipelines.get(matrix_shader(), constants), {}};
  }

 private:
  uint64_t arrangement() const override {
    uint64_t all = 0;
    for (uint32_t kernel = 0; kernel < kNumKernels; ++kernel) {
      all = all * 4 + values_of(static_cast<Kernel>(kernel));
    }
    return all * 2 + (uses_matrix() ? 1 : 0);
  }

  Kernel choose(uint32_t M) const {
    if (M >= kMatrixRows && uses_matrix()) return kMatrix;
    return M == 1 ? kOneRow : kFewRows;
  }

  static uint32_t rows_of(Kernel kernel) {
    if (kernel == kMatrix) return kTileRows;
    return kernel == kOneRow ? 1 : kManyRows;
  }

  // True if W's codes are s8, or become s8 by a subtraction or a book.
  bool has_bytes() const {
    return (shape().code == sdk::packing::Code::kS8 ||
            shape().code == sdk::packing::Code::kU4 ||
            shape().code == sdk::packing::Code::kBook) &&
           !shape().has_zeros && !shape().has_mins;
  }

  bool uses_dot() const {
    return device().features().dot != Way::kOff && is_integer() && has_bytes();
  }

  // What becomes f16 loses nothing, and scales come last.
  bool uses_matrix() const {
    if (device().features().matrix == Way::kOff || !matrix_size().exists() ||
        !shape().is_per_channel() ||
        shape().chunk_values * shape().code_bits() != 128) {
      return false;
    }
    if (is_integer()) return has_bytes();
    return op().act_quant == TSR_ACT_FLOAT && x().dtype() == TSR_F16 &&
           weight().input_multiplier() == nullptr &&
           (has_bytes() || shape().code == sdk::packing::Code::kF16);
  }

  // Of what runs natively; none if the device has none for these numbers.
  MatrixSize matrix_size() const {
    if (device().features().matrix == Way::kEmulated) return {16, 16, 16};
    const GpuFacts& facts = device().gpu().facts();
    return is_integer() ? facts.int8_matrix : facts.half_matrix;
  }

  Values values_of(Kernel kernel) const {
    if (kernel == kMatrix) return is_integer() ? kBytes : kF16;
    return uses_dot() ? kBytes : kF32;
  }

  std::string product_shader() const {
    if (!uses_dot()) return "linear";
    return device().features().dot == Way::kNative ? "linear_dot.native"
                                                   : "linear_dot";
  }

  std::string matrix_shader() const {
    const std::string name =
        is_integer() ? "linear_matrix_s8" : "linear_matrix_f16";
    return device().features().matrix == Way::kNative ? name + ".native" : name;
  }

  uint32_t columns_;  // of an invocation
};

}  // namespace

std::unique_ptr<Launch> make_linear_tile(const LaunchInput& input,
                                         const tsr_op_linear& op) {
  return std::make_unique<LinearTile>(input, op);
}

}  // namespace tessera::vulkan
