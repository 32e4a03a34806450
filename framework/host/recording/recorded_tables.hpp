// SPDX-License-Identifier: Apache-2.0
//
// The functions of a recorded table: each writes its arguments, calls the
// plugin's, and writes the answer.

#pragma once

#include "framework/host/recording/recorded_call.hpp"
#include "tessera/plugin.h"

namespace tessera::recording {

// Replace the functions of `api` but those that name no object.
void fill_recorded_objects(tsr_api& api);
void fill_recorded_work(tsr_api& api);

inline void forget_nothing(DeviceState& /*device*/, uint64_t /*id*/) {}

// The end of an object; Forget is told its id.
template <Call kCall, auto Member, auto Forget>
void destroy(tsr_device* device, uint64_t id) {
  RecordedCall call(device, kCall);
  call.arguments().put(id);
  Forget(call.device(), id);
  call.run(
      [&](tsr_error*) {
        (call.api().*Member)(device, id);
        return tsr_status{TSR_OK};
      },
      nullptr);
}

}  // namespace tessera::recording
