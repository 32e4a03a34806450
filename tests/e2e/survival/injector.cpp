// SPDX-License-Identifier: Apache-2.0
//
// The cpu plugin with a fault in it: the same table, but one submission, chosen
// when the device is opened with fault=KIND@N, goes wrong.

#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tessera/plugin.hpp"
#include "tessera/record.hpp"

namespace {

tsr_api real{};   // the cpu plugin's
tsr_api table{};  // the same, but for what is replaced

char kind[16] = "none";
uint64_t fault_at = UINT64_MAX;  // submissions before it are sound
uint64_t num_submitted = 0;

void read_fault(const char* text) {
  unsigned long long at = 0;
  if (std::sscanf(text, "%15[a-z]@%llu", kind, &at) == 2) fault_at = at;
  num_submitted = 0;
}

tsr_status open_device(uint32_t index, const tsr_array* options, tsr_error* err,
                       tsr_device** out_device) {
  std::vector<tsr_option_value> rest;
  if (options != nullptr) {
    for (const tsr_option_value& option :
         tessera::sdk::Elements<tsr_option_value>(*options).all()) {
      if (std::strcmp(option.key, "fault") == 0) {
        read_fault(option.value);
      } else {
        rest.push_back(option);
      }
    }
  }
  const tsr_array array = {rest.data(), static_cast<uint32_t>(rest.size()),
                           sizeof(tsr_option_value)};
  return real.device_open(index, &array, err, out_device);
}

tsr_status fail(tsr_error* err, tsr_status code, uint32_t retry,
                const char* message) {
  if (err != nullptr) {
    err->retry = retry;
    std::snprintf(err->message, sizeof(err->message), "%s", message);
  }
  return code;
}

tsr_status submit(tsr_queue* queue, const tsr_submission* submission,
                  tsr_error* err) {
  if (num_submitted++ != fault_at) {
    return real.queue_submit(queue, submission, err);
  }
  if (std::strcmp(kind, "segv") == 0) raise(SIGSEGV);
  if (std::strcmp(kind, "abort") == 0) std::abort();
  if (std::strcmp(kind, "exit") == 0) _exit(3);
  if (std::strcmp(kind, "hang") == 0) {
    for (;;) pause();
  }
  if (std::strcmp(kind, "exhausted") == 0) {
    return fail(err, TSR_RESOURCE_EXHAUSTED, TSR_RETRY_SMALLER,
                "out of memory, injected");
  }
  // The work is done, but nobody may believe it.
  if (std::strcmp(kind, "late") == 0) {
    real.queue_submit(queue, submission, err);
  }
  return fail(err, TSR_INTERNAL, TSR_DEVICE_LOST, "device lost, injected");
}

tsr_status get_api(uint32_t abi_version, const tsr_host_services* services,
                   tsr_error* err, const tsr_api** out_api) {
  void* library = dlopen(CPU_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return fail(err, TSR_NOT_FOUND, TSR_RETRY_NEVER, "no cpu plugin");
  }
  const auto query = reinterpret_cast<tsr_plugin_query_fn>(
      dlsym(library, "tsr_plugin_query_v1"));
  const tsr_api* api = nullptr;
  const tsr_status code = query()->get_api(abi_version, services, err, &api);
  if (code != TSR_OK) return code;
  std::memcpy(&real, api, std::min<size_t>(api->struct_size, sizeof(real)));
  table = real;
  table.device_open = open_device;
  table.queue_submit = submit;
  *out_api = &table;
  return TSR_OK;
}

}  // namespace

extern "C" TSR_EXPORT const tsr_plugin_header* tsr_plugin_query_v1(void) {
  static const tsr_plugin_header header = {
      sizeof(tsr_plugin_header),
      TSR_ABI_MAJOR << 16 | TSR_ABI_MINOR,
      TSR_ABI_MAJOR << 16 | TSR_ABI_MINOR,
      tessera::sdk::detail::sanitizer_kind(),
      0,
      0,
      "injector",
      "1.0",
      "1",
      get_api,
  };
  return &header;
}
