// SPDX-License-Identifier: Apache-2.0

#include "framework/host/validation/checked_call.hpp"

#include <fmt/format.h>

#include <cstring>

#include "framework/base/log.hpp"

namespace tessera::validation {
namespace {

constexpr const char* kKindNames[] = {"buffer", "weight", "KV pool", "program",
                                      "timeline"};

bool is_status(tsr_status status) {
  switch (status) {
    case TSR_OK:
    case TSR_CANCELLED:
    case TSR_INVALID_ARGUMENT:
    case TSR_DEADLINE_EXCEEDED:
    case TSR_NOT_FOUND:
    case TSR_RESOURCE_EXHAUSTED:
    case TSR_FAILED_PRECONDITION:
    case TSR_UNIMPLEMENTED:
    case TSR_INTERNAL:
    case TSR_UNAVAILABLE:
    case TSR_DATA_LOSS:
      return true;
    default:
      return false;
  }
}

}  // namespace

State& state() {
  static auto* instance = new State;
  return *instance;
}

void violation(size_t slot, const char* who, const char* call,
               const std::string& what) {
  ++state().num_violations;
  const std::string text = fmt::format("validate: {} of plugin {}: {}: {}", who,
                                       state().names[slot], call, what);
  if (state().told.insert(text).second) log(TSR_LOG_ERROR, text);
}

CheckedCall::CheckedCall(tsr_device* device, const char* name)
    : name_(name), lock_(state().mutex) {
  const auto found = state().devices.find(device);
  if (found != state().devices.end()) {
    here_ = &found->second;
  } else {
    host("a device that is not open");
  }
}

void CheckedCall::host(const std::string& what) {
  violation(here().slot, "host", name_, what);
}

void CheckedCall::plugin(const std::string& what) {
  violation(here().slot, "plugin", name_, what);
}

void CheckedCall::creates(Kind kind, uint64_t id) {
  if (id == 0) host(fmt::format("{} id 0", kKindNames[kind]));
  if (here().alive[kind].count(id) == 0) return;
  host(fmt::format("a second {} of id {}", kKindNames[kind], id));
}

void CheckedCall::needs(Kind kind, uint64_t id) {
  if (here().alive[kind].count(id) != 0) return;
  host(fmt::format("{} {} does not exist", kKindNames[kind], id));
}

void CheckedCall::made(Kind kind, uint64_t id, tsr_status status) {
  if (status == TSR_OK) here().alive[kind].insert(id);
}

void CheckedCall::gone(Kind kind, uint64_t id) {
  needs(kind, id);
  here().alive[kind].erase(id);
}

void CheckedCall::destroys(Kind kind, uint64_t id, tsr_device* device,
                           void (*function)(tsr_device*, uint64_t)) {
  gone(kind, id);
  unlock();
  function(device, id);
}

void CheckedCall::needs_bytes(uint64_t buffer, uint64_t offset,
                              uint64_t bytes) {
  needs(kBuffer, buffer);
  const auto found = here().buffer_bytes.find(buffer);
  if (found == here().buffer_bytes.end()) return;
  if (offset <= found->second && bytes <= found->second - offset) return;
  host(fmt::format("{} bytes from {} of a buffer of {}", bytes, offset,
                   found->second));
}

void CheckedCall::check_status(tsr_status status, const tsr_error& err,
                               uint32_t size) {
  if (err.struct_size != size) plugin("changed struct_size of tsr_error");
  if (!is_status(status)) plugin(fmt::format("status {}", status));
  if (status == TSR_OK || size < sizeof(tsr_error)) return;
  if (std::memchr(err.message, 0, sizeof(err.message)) == nullptr) {
    plugin("an error message without an end");
  }
  if (err.retry > TSR_PLUGIN_POISONED) {
    plugin(fmt::format("retry class {}", err.retry));
  }
}

}  // namespace tessera::validation
