// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/case.hpp"

namespace tessera::conformance {

Result<std::shared_ptr<Device>> CaseContext::device() {
  if (device_ == nullptr || device_->is_lost()) {
    TSR_ASSIGN_OR_RETURN(device_, open_device());
  }
  return device_;
}

Result<std::shared_ptr<Device>> CaseContext::open_device() const {
  return Device::open(plugin_, device_index_, options_);
}

}  // namespace tessera::conformance
