// SPDX-License-Identifier: Apache-2.0

#include "framework/host/loading/negotiate.hpp"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <cstddef>

#include "framework/host/device/plugin_error.hpp"
#include "framework/host/loading/api_table.hpp"

namespace tessera {
namespace {

constexpr uint32_t kMaxHeaderBytes = 64 * 1024;

Status bad_header(const std::string& message) {
  return {TSR_INVALID_ARGUMENT, "header: " + message};
}

std::string range_name(uint32_t min, uint32_t max) {
  return abi_version_name(min) + " to " + abi_version_name(max);
}

const char* sanitizer_name(uint32_t sanitizer) {
  switch (sanitizer) {
    case TSR_SANITIZER_NONE:
      return "no sanitizer";
    case TSR_SANITIZER_ADDRESS:
      return "the address sanitizer";
    case TSR_SANITIZER_THREAD:
      return "the thread sanitizer";
    case TSR_SANITIZER_MEMORY:
      return "the memory sanitizer";
    default:
      return "a sanitizer unknown here";
  }
}

// A printable text of 1 to 256 characters.
Result<std::string> read_text(const char* text, const char* field) {
  constexpr size_t kMaxLength = 256;
  if (text == nullptr) return bad_header(std::string("no ") + field);
  const std::string value(text, strnlen(text, kMaxLength + 1));
  const bool printable = std::all_of(value.begin(), value.end(), [](char c) {
    return c >= ' ' && c != '\x7f';
  });
  if (value.empty() || value.size() > kMaxLength || !printable) {
    return bad_header(fmt::format("{} is not a text of 1 to {} characters",
                                  field, kMaxLength));
  }
  return value;
}

Status check_size(uint32_t struct_size) {
  const auto least = static_cast<uint32_t>(
      offsetof(tsr_plugin_header, get_api) +
      sizeof(static_cast<tsr_plugin_header*>(nullptr)->get_api));
  if (struct_size >= least && struct_size <= kMaxHeaderBytes &&
      struct_size % sizeof(uint64_t) == 0) {
    return {};
  }
  return bad_header(
      fmt::format("struct_size {} is not a multiple of {} from {} to {}",
                  struct_size, sizeof(uint64_t), least, kMaxHeaderBytes));
}

// The highest version in both ranges.
Result<uint32_t> choose_version(AbiRange plugin, AbiRange host) {
  if (plugin.min > plugin.max) {
    return bad_header("abi_min " + abi_version_name(plugin.min) +
                      " is above abi_max " + abi_version_name(plugin.max));
  }
  const uint32_t lowest = std::max(plugin.min, host.min);
  const uint32_t highest = std::min(plugin.max, host.max);
  if (lowest <= highest) return highest;
  return Status(TSR_FAILED_PRECONDITION,
                "built for ABI " + range_name(plugin.min, plugin.max) +
                    "; this host speaks " + range_name(host.min, host.max));
}

Status check_sanitizer(uint32_t sanitizer) {
  if (sanitizer == host_sanitizer()) return {};
  return {
      TSR_FAILED_PRECONDITION,
      fmt::format("built with {}, this host with {}", sanitizer_name(sanitizer),
                  sanitizer_name(host_sanitizer()))};
}

}  // namespace

std::string abi_version_name(uint32_t version) {
  return fmt::format("{}.{}", version >> 16, version & 0xffffu);
}

uint32_t host_sanitizer() {
#if defined(__SANITIZE_ADDRESS__)
  return TSR_SANITIZER_ADDRESS;
#elif defined(__SANITIZE_THREAD__)
  return TSR_SANITIZER_THREAD;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  return TSR_SANITIZER_ADDRESS;
#elif __has_feature(thread_sanitizer)
  return TSR_SANITIZER_THREAD;
#elif __has_feature(memory_sanitizer)
  return TSR_SANITIZER_MEMORY;
#else
  return TSR_SANITIZER_NONE;
#endif
#else
  return TSR_SANITIZER_NONE;
#endif
}

Result<PluginIdentity> check_header(const tsr_plugin_header* header,
                                    AbiRange host, uint32_t* out_abi_version) {
  if (header == nullptr) return bad_header("there is none");
  TSR_RETURN_IF_ERROR(check_size(header->struct_size));
  TSR_ASSIGN_OR_RETURN(
      *out_abi_version,
      choose_version({header->abi_min, header->abi_max}, host));
  TSR_RETURN_IF_ERROR(check_sanitizer(header->sanitizer));
  if (header->get_api == nullptr) return bad_header("no get_api");
  PluginIdentity identity;
  TSR_ASSIGN_OR_RETURN(identity.name, read_text(header->name, "name"));
  TSR_ASSIGN_OR_RETURN(identity.version, read_text(header->version, "version"));
  TSR_ASSIGN_OR_RETURN(identity.build_id,
                       read_text(header->build_id, "build_id"));
  identity.flags = header->flags;
  return identity;
}

Result<NegotiatedApi> negotiate(const tsr_plugin_header* header,
                                const tsr_host_services* services,
                                AbiRange host) {
  NegotiatedApi result;
  TSR_ASSIGN_OR_RETURN(result.identity,
                       check_header(header, host, &result.abi_version));
  const tsr_api* table = nullptr;
  ErrorSlot error;
  const tsr_status code =
      header->get_api(result.abi_version, services, &error, &table);
  TSR_RETURN_IF_ERROR(plugin_status(
      code, error, "get_api " + abi_version_name(result.abi_version)));
  TSR_ASSIGN_OR_RETURN(result.api, complete_api(table));
  return result;
}

}  // namespace tessera
