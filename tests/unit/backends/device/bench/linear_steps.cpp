// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/device/bench/linear_steps.hpp"

#include "tests/unit/backends/device/bench/rounds.hpp"
#include "tests/unit/backends/device/linear_case.hpp"

namespace tessera::device_test {
namespace {

double plane_bytes(const format::WeightData& weight) {
  double bytes = 0.0;
  for (const format::Plane& plane : weight.planes) {
    bytes += static_cast<double>(plane.owned.size());
  }
  return bytes;
}

}  // namespace

double operations_of(const LinearRow& row) {
  return 2.0 * row.M * row.N * row.K;
}

LinearSteps::LinearSteps(const std::shared_ptr<Device>& device,
                         const LinearRow& row, double least_bytes)
    : x_(*device, TSR_F32, row.M, row.K, rng_, 0),
      y_(*device, TSR_F32, row.M, row.N, 0) {
  const auto planes =
      random_weight(weight_kind(row.weight), row.N, row.K, rng_);
  const double bytes = plane_bytes(planes);
  const int copies = static_cast<int>(least_bytes / bytes) + 1;
  weight_bytes_ = bytes * copies;
  OpRunner op(device);
  tsr_op_linear linear{};
  linear.op.kind = TSR_OP_LINEAR;
  linear.x = op.add(x_);
  linear.y = op.add(y_);
  linear.bias = linear.multiplier = linear.residual = TSR_NONE;
  linear.act_quant = row.act_quant;
  const auto view = planes.view();
  for (int i = 0; i < copies; ++i) {
    auto weight = device->load_weight(view.desc());
    require(weight.status());
    linear.weight = op.program().add_weight(weight->id());
    op.program().add_op(linear);
    weights_.push_back(std::move(*weight));
  }
  auto steps = op.prepare(row.M);
  require(steps.status());
  steps_ = std::move(*steps);
}

}  // namespace tessera::device_test
