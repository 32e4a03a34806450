// SPDX-License-Identifier: Apache-2.0
//
// A header and a table of this program's own, to be spoiled by tests of the
// negotiation.

#pragma once

#include "framework/host/loading/negotiate.hpp"
#include "tessera/plugin.h"

namespace tessera {

// Fills a function of the table by one that returns INTERNAL, or nothing.
template <typename Return, typename... Arguments>
void fill(Return (*&function)(Arguments...)) {
  function = [](Arguments...) {
    if constexpr (!std::is_void_v<Return>) return Return{TSR_INTERNAL};
  };
}

// Every function that is not optional.
inline tsr_api minimal_api() {
  tsr_api api{};
  api.struct_size = sizeof(api);
  fill(api.device_count);
  fill(api.device_info);
  fill(api.device_kernels);
  fill(api.device_open);
  fill(api.device_close);
  fill(api.check);
  fill(api.buffer_create);
  fill(api.buffer_map);
  fill(api.buffer_destroy);
  fill(api.weight_query);
  fill(api.packing_begin);
  fill(api.packing_slice);
  fill(api.packing_end);
  fill(api.weight_create);
  fill(api.weight_destroy);
  fill(api.program_create);
  fill(api.program_segment);
  fill(api.program_destroy);
  fill(api.timeline_import);
  fill(api.timeline_forget);
  fill(api.queue_create);
  fill(api.queue_submit);
  fill(api.queue_destroy);
  return api;
}

// What FakePlugin's get_api hands out, and what it was asked for.
struct FakeState {
  const tsr_api* api = nullptr;
  tsr_status answer = TSR_OK;
  uint32_t asked_version = 0;
  uint32_t calls = 0;
};

inline FakeState& fake_state() {
  static FakeState state;
  return state;
}

inline tsr_plugin_header fake_header() {
  tsr_plugin_header header{};
  header.struct_size = sizeof(header);
  header.abi_min = 0x10000;
  header.abi_max = 0x10000;
  header.sanitizer = host_sanitizer();
  header.name = "fake";
  header.version = "1.2.3";
  header.build_id = "today";
  header.get_api = [](uint32_t version, const tsr_host_services*,
                      tsr_error* err, const tsr_api** out_api) {
    FakeState& state = fake_state();
    state.asked_version = version;
    ++state.calls;
    if (state.answer != TSR_OK) {
      err->message[0] = 'n';
      err->message[1] = 'o';
      err->message[2] = '\0';
    } else {
      *out_api = state.api;
    }
    return state.answer;
  };
  return header;
}

}  // namespace tessera
