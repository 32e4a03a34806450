// SPDX-License-Identifier: Apache-2.0

#include "framework/model/checkpoint_source.hpp"

namespace tessera {

WeightSource checkpoint_source(const Checkpoint& checkpoint) {
  WeightSource source;
  source.tensor =
      [&checkpoint](const std::string& name) -> Result<SourceTensor> {
    const TensorView* const view = checkpoint.find(name);
    if (view == nullptr) return Status(TSR_NOT_FOUND, "no tensor " + name);
    return SourceTensor{view->dtype, view->shape, view->data, {}};
  };
  return source;
}

}  // namespace tessera
