// SPDX-License-Identifier: Apache-2.0

#include "framework/host/loading/api_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <type_traits>

namespace tessera {
namespace {

// No table is larger; a larger struct_size is not one.
constexpr uint32_t kMaxTableBytes = 64 * 1024;

enum class Need { kRequired, kOptional };

// A function of the table.  All function pointers have one size.
struct Row {
  const char* name;
  size_t offset;
  Need need;
  void (*stub)();
};

template <typename Argument>
void explain(Argument /*argument*/, const char* /*name*/) {}

void explain(tsr_error* err, const char* name) {
  constexpr size_t kNeeded = sizeof(tsr_error);
  if (err == nullptr || err->struct_size < kNeeded) return;
  err->retry = TSR_RETRY_NEVER;
  err->native_code = 0;
  std::snprintf(err->message, sizeof(err->message),
                "the plugin does not implement %s", name);
}

// A string as a template argument.
template <size_t Size>
struct Name {
  consteval Name(const char (&from)[Size]) {  // NOLINT(*-explicit-*)
    std::copy_n(from, Size, text);
  }
  char text[Size] = {};
};

// A function of the type of `Member` that only says that it is missing.
template <auto Member, Name kName>
struct Stub;
template <typename Return, typename... Arguments,
          Return (*tsr_api::*Member)(Arguments...), Name kName>
struct Stub<Member, kName> {
  static Return call(Arguments... arguments) {
    (explain(arguments, kName.text), ...);
    if constexpr (!std::is_void_v<Return>) return TSR_UNIMPLEMENTED;
  }
};

#define TSR_ROW(function, need)                                 \
  Row {                                                         \
#function, offsetof(tsr_api, function), Need::need,         \
        reinterpret_cast < void (*)()>                          \
            (&Stub <&tsr_api::function, Name(#function)>::call) \
  }
// clang-format off
const Row table_rows[] = {
    TSR_ROW(device_count, kRequired),
    TSR_ROW(device_info, kRequired),
    TSR_ROW(device_kernels, kRequired),
    TSR_ROW(device_open, kRequired),
    TSR_ROW(device_close, kRequired),
    TSR_ROW(check, kRequired),
    TSR_ROW(estimate, kOptional),
    TSR_ROW(buffer_create, kRequired),
    TSR_ROW(buffer_import, kOptional),
    TSR_ROW(buffer_export, kOptional),
    TSR_ROW(buffer_map, kRequired),
    TSR_ROW(buffer_flush, kOptional),
    TSR_ROW(buffer_invalidate, kOptional),
    TSR_ROW(buffer_destroy, kRequired),
    TSR_ROW(weight_query, kRequired),
    TSR_ROW(packing_begin, kRequired),
    TSR_ROW(packing_slice, kRequired),
    TSR_ROW(packing_end, kRequired),
    TSR_ROW(weight_create, kRequired),
    TSR_ROW(weight_destroy, kRequired),
    TSR_ROW(kv_query, kOptional),
    TSR_ROW(kv_create, kOptional),
    TSR_ROW(kv_destroy, kOptional),
    TSR_ROW(program_create, kRequired),
    TSR_ROW(program_segment, kRequired),
    TSR_ROW(program_destroy, kRequired),
    TSR_ROW(timeline_import, kRequired),
    TSR_ROW(timeline_forget, kRequired),
    TSR_ROW(queue_create, kRequired),
    TSR_ROW(queue_submit, kRequired),
    TSR_ROW(queue_destroy, kRequired),
    TSR_ROW(profile_read, kOptional),
    TSR_ROW(device_last_error, kOptional),
    TSR_ROW(device_ask, kOptional),
};
// clang-format on
#undef TSR_ROW

static_assert(std::size(table_rows) ==
                  (sizeof(tsr_api) - 2 * sizeof(uint32_t)) / sizeof(void (*)()),
              "a function of tsr_api has no row");

using Function = void (*)();

Status check_size(uint32_t struct_size) {
  const uint32_t least = static_cast<uint32_t>(
      offsetof(tsr_api, queue_destroy) + sizeof(Function));
  if (struct_size >= least && struct_size <= kMaxTableBytes &&
      struct_size % sizeof(Function) == 0) {
    return {};
  }
  return {TSR_INVALID_ARGUMENT,
          fmt::format("table: struct_size {} is not a multiple of {} from {} "
                      "to {}",
                      struct_size, sizeof(Function), least, kMaxTableBytes)};
}

}  // namespace

Result<tsr_api> complete_api(const tsr_api* table) {
  if (table == nullptr) {
    return Status(TSR_INVALID_ARGUMENT, "table: get_api stored none");
  }
  const uint32_t struct_size = table->struct_size;
  TSR_RETURN_IF_ERROR(check_size(struct_size));
  tsr_api result{};
  auto* to = reinterpret_cast<char*>(&result);
  std::memcpy(to, table,
              struct_size < sizeof(result) ? struct_size : sizeof(result));
  result.struct_size = sizeof(result);
  for (const Row& row : table_rows) {
    Function function = nullptr;
    std::memcpy(&function, to + row.offset, sizeof(function));
    if (function != nullptr) continue;
    if (row.need == Need::kRequired) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("table: no function {}", row.name));
    }
    std::memcpy(to + row.offset, &row.stub, sizeof(function));
  }
  return result;
}

}  // namespace tessera
