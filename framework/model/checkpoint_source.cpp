// SPDX-License-Identifier: Apache-2.0

#include "framework/model/checkpoint_source.hpp"

#include <utility>

namespace tessera {
namespace {

Result<SourceTensor> find_tensor(const Checkpoint& checkpoint,
                                 const std::string& name) {
  const TensorView* const view = checkpoint.find(name);
  if (view == nullptr) return Status(TSR_NOT_FOUND, "no tensor " + name);
  return SourceTensor{view->dtype, view->shape, view->data, {}};
}

}  // namespace

WeightSource checkpoint_source(const Checkpoint& checkpoint) {
  WeightSource source;
  source.tensor = [&checkpoint](const std::string& name) {
    return find_tensor(checkpoint, name);
  };
  return source;
}

WeightSource checkpoint_source(std::shared_ptr<const Checkpoint> checkpoint) {
  WeightSource source;
  source.tensor = [kept = std::move(checkpoint)](const std::string& name) {
    return find_tensor(*kept, name);
  };
  return source;
}

}  // namespace tessera
