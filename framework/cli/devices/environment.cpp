// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/devices/environment.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/Version.hpp>
#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <sstream>

#include "framework/base/text_hash.hpp"
#include "framework/cli/build_commit.hpp"
#include "framework/host/loading/negotiate.hpp"
#include "framework/host/loading/search_path.hpp"
#include "framework/host/services/services.hpp"
#include "framework/host/services/thread_pool.hpp"

namespace tessera::cli {
namespace {

// Empty if it cannot be read.
std::string read_text(const char* path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kOutside = " \t\r\"";
  const size_t begin = text.find_first_not_of(kOutside);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kOutside) - begin + 1);
}

std::string kernel_name() {
  utsname name{};
  if (uname(&name) != 0) return "unknown";
  return fmt::format("{} {} {}", name.sysname, name.release, name.machine);
}

uint64_t physical_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_bytes = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return 0;
  return static_cast<uint64_t>(pages) * static_cast<uint64_t>(page_bytes);
}

std::string compiler_name() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "gcc " __VERSION__;
#else
  return "unknown";
#endif
}

// A word as a shell reads it.
std::string shell_quoted(std::string_view word) {
  const bool is_plain =
      !word.empty() &&
      std::all_of(word.begin(), word.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 ||
               std::string_view("-_./:,=+@%").find(static_cast<char>(c)) !=
                   std::string_view::npos;
      });
  if (is_plain) return std::string(word);
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string or_unknown(const std::string& text) {
  return text.empty() ? "unknown" : text;
}

}  // namespace

std::string find_value(std::string_view lines, std::string_view key,
                       char separator) {
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    const size_t at = line.find(separator);
    if (at == std::string_view::npos || trim(line.substr(0, at)) != key) {
      continue;
    }
    return std::string(trim(line.substr(at + 1)));
  }
  return {};
}

std::vector<std::string> vector_extensions(std::string_view flags) {
  constexpr std::array<std::string_view, 14> kKnown = {
      "sse4_2",      "avx",         "f16c",     "fma",      "avx2",
      "avx_vnni",    "avx512f",     "avx512bw", "avx512vl", "avx512_vnni",
      "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16"};
  std::istringstream words{std::string(flags)};
  std::vector<std::string> found;
  for (std::string word; words >> word;) {
    if (std::find(kKnown.begin(), kKnown.end(), word) != kKnown.end()) {
      found.push_back(word);
    }
  }
  return found;
}

Environment read_environment() {
  const std::string cpuinfo = read_text("/proc/cpuinfo");
  Environment environment;
  environment.os =
      or_unknown(find_value(read_text("/etc/os-release"), "PRETTY_NAME", '='));
  environment.kernel = kernel_name();
  environment.cpu = or_unknown(find_value(cpuinfo, "model name", ':'));
  environment.cores = available_cores();
  environment.isa = vector_extensions(find_value(cpuinfo, "flags", ':'));
  environment.memory_bytes = physical_memory();
  environment.compiler = compiler_name();
  environment.build_type = TSR_BUILD_TYPE;
  environment.tessera_version = TSR_VERSION;
  environment.commit = build_commit();
  environment.abi_version = abi_version_name(kHostAbi.max);
  environment.libraries = {
      {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000,
                          FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
      {"nlohmann-json",
       fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR,
                   NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
      {"CLI11", CLI11_VERSION}};
  environment.plugin_folders = plugin_search_path();
  environment.cache_folder = or_unknown(default_cache_root());
  return environment;
}

Json environment_json(const Environment& environment) {
  Json json;
  json["os"] = environment.os;
  json["kernel"] = environment.kernel;
  json["cpu"] = environment.cpu;
  json["cores"] = environment.cores;
  json["isa"] = environment.isa;
  json["memory_bytes"] = environment.memory_bytes;
  json["compiler"] = environment.compiler;
  json["build_type"] = environment.build_type;
  json["tessera_version"] = environment.tessera_version;
  json["commit"] = environment.commit;
  json["abi_version"] = environment.abi_version;
  json["libraries"] = Json::object();
  for (const auto& [name, version] : environment.libraries) {
    json["libraries"][name] = version;
  }
  json["plugin_folders"] = environment.plugin_folders;
  json["cache_folder"] = environment.cache_folder;
  return json;
}

std::string machine_fingerprint(const Environment& environment) {
  constexpr uint64_t kGiB = 1U << 30;
  TextHash hash;
  hash.add(environment.cpu);
  hash.add(fmt::format("/{}/", environment.cores));
  // The last bytes depend on what the firmware keeps for itself.
  hash.add(std::to_string((environment.memory_bytes + kGiB / 2) / kGiB));
  hash.add(read_text("/etc/machine-id"));
  return hash.text();
}

std::string own_command_line() {
  const std::string words = read_text("/proc/self/cmdline");
  std::string line;
  size_t begin = 0;
  while (begin < words.size()) {
    const size_t end = std::min(words.find('\0', begin), words.size());
    const std::string_view word(words.data() + begin, end - begin);
    const bool is_first = begin == 0;
    begin = end + 1;
    if (!is_first) line += ' ';
    // The program by its name alone: it is the same wherever it lies.
    line += is_first ? "tessera" : shell_quoted(word);
  }
  return line;
}

}  // namespace tessera::cli
