// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/features.hpp"

#include <charconv>
#include <vector>

#include "tessera/error.hpp"

namespace tessera::vulkan {
namespace {

constexpr const char* kTimeoutKey = "timeout_ms";
// No step of a model is as long, but one on a CPU may take minutes.
constexpr const char* kTimeoutMs = "600000";

using Asks = bool (*)(const GpuFacts& facts);

bool always(const GpuFacts&) { return true; }
bool never(const GpuFacts&) { return false; }

bool has_subgroup_operations(const GpuFacts& facts,
                             VkSubgroupFeatureFlags operations) {
  const uint32_t lanes = facts.subgroup_size;
  return lanes >= 4 && lanes <= 64 && (lanes & (lanes - 1)) == 0 &&
         (facts.subgroup_operations & operations) == operations;
}

// Whole subgroups that shuffle, of which a tile of 64 rows holds a few.
bool has_blocks(const GpuFacts& facts) {
  return has_subgroup_operations(facts, VK_SUBGROUP_FEATURE_SHUFFLE_BIT);
}
bool wants_blocks(const GpuFacts& facts) {
  return facts.is_cpu && has_blocks(facts);
}
bool has_arithmetic(const GpuFacts& facts) {
  return has_subgroup_operations(facts, VK_SUBGROUP_FEATURE_SHUFFLE_BIT |
                                            VK_SUBGROUP_FEATURE_ARITHMETIC_BIT);
}
bool has_small_storage(const GpuFacts& facts) {
  return facts.has_small_storage;
}
bool has_dot(const GpuFacts& facts) { return facts.has_dot; }
bool wants_dot(const GpuFacts& facts) { return facts.dot_is_fast; }
bool has_matrix(const GpuFacts& facts) {
  return facts.int8_matrix.exists() || facts.half_matrix.exists();
}
bool has_queues(const GpuFacts& facts) { return facts.queues.lanes.size() > 1; }

void set_form(Features& features, uint32_t code) {
  features.form = static_cast<Form>(code);
}
void set_staging(Features& features, uint32_t code) {
  features.staging = static_cast<Staging>(code);
}
template <Way Features::*kField>
void set_way(Features& features, uint32_t code) {
  features.*kField = static_cast<Way>(code);
}

// One way of a feature.  `best` says whether a device takes it unasked; the
// first such row of a feature counts.
struct Row {
  const char* feature;
  const char* name;
  uint32_t code;
  void (*set)(Features& features, uint32_t code);
  Asks offered;
  Asks best;
  const char* needs;
};

// clang-format off
constexpr Row kRows[] = {
    {"form",      "block",    0, set_form,                      has_blocks,        wants_blocks,      "subgroups of 4 to 64 that shuffle"},
    {"form",      "tile",     1, set_form,                      always,            always,            ""},
    {"storage",   "native",   2, set_way<&Features::storage>,   has_small_storage, has_small_storage, "shaderInt8, shaderInt16 and 8- and 16-bit storage"},
    {"storage",   "emulated", 1, set_way<&Features::storage>,   always,            always,            ""},
    {"subgroups", "native",   2, set_way<&Features::subgroups>, has_arithmetic,    has_arithmetic,    "subgroups of 4 to 64 with arithmetic and shuffles"},
    {"subgroups", "off",      0, set_way<&Features::subgroups>, always,            always,            ""},
    {"dot",       "native",   2, set_way<&Features::dot>,       has_dot,           wants_dot,         "VK_KHR_shader_integer_dot_product"},
    {"dot",       "emulated", 1, set_way<&Features::dot>,       always,            never,             ""},
    {"dot",       "off",      0, set_way<&Features::dot>,       always,            always,            ""},
    {"matrix",    "native",   2, set_way<&Features::matrix>,    has_matrix,        has_matrix,        "VK_KHR_cooperative_matrix of s8 or f16 (and a build whose glslc knew it)"},
    {"matrix",    "emulated", 1, set_way<&Features::matrix>,    has_blocks,        never,             "subgroups of 4 to 64 that shuffle"},
    {"matrix",    "off",      0, set_way<&Features::matrix>,    always,            always,            ""},
    {"staging",   "needed",   0, set_staging,                   always,            always,            ""},
    {"staging",   "always",   1, set_staging,                   always,            never,             ""},
    {"queues",    "native",   2, set_way<&Features::queues>,    has_queues,        has_queues,        "more than one queue that computes or copies"},
    {"queues",    "emulated", 1, set_way<&Features::queues>,    always,            never,             ""},
    {"queues",    "off",      0, set_way<&Features::queues>,    always,            always,            ""},
};
// clang-format on

Features best_features(const GpuFacts& facts) {
  Features features;
  std::string done;
  for (const Row& row : kRows) {
    if (done == row.feature || !row.best(facts)) continue;
    row.set(features, row.code);
    done = row.feature;
  }
  return features;
}

[[noreturn]] void refuse(const GpuFacts& facts, const Row& row) {
  throw sdk::Error(TSR_INVALID_ARGUMENT,
                   std::string("vulkan: option ") + row.feature + "=" +
                       row.name + " needs " + row.needs + ", which " +
                       facts.name + " does not have");
}

void set_feature(const GpuFacts& facts, const std::string& feature,
                 const std::string& name, Features& features) {
  std::string known = kTimeoutKey;
  std::string last;
  std::string names = "auto";
  bool exists = false;
  for (const Row& row : kRows) {
    if (last != row.feature) known.append(", ").append(row.feature);
    last = row.feature;
    if (feature != row.feature) continue;
    exists = true;
    names.append(", ").append(row.name);
    if (name != row.name) continue;
    if (!row.offered(facts)) refuse(facts, row);
    row.set(features, row.code);
    return;
  }
  if (!exists) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "vulkan: no option " + feature + "; there are " + known);
  }
  if (name == "auto") return;
  throw sdk::Error(TSR_INVALID_ARGUMENT, "vulkan: option " + feature + "=" +
                                             name + " is none of " + names);
}

uint64_t read_timeout(const std::string& text) {
  constexpr uint64_t kNsPerMs = 1'000'000;
  uint64_t ms = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, ms);
  if (parsed.ec != std::errc() || parsed.ptr != end || ms == 0 ||
      ms > UINT64_MAX / kNsPerMs) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     std::string("vulkan: option ") + kTimeoutKey + "=" + text +
                         " is no number of milliseconds from 1 on");
  }
  return ms * kNsPerMs;
}

}  // namespace

tsr_array option_table() {
  static const std::vector<tsr_option> options = {
      {sizeof(tsr_option), TSR_OPTION_TEXT, "form", "auto",
       "how work is cut: block (a subgroup per block, for drivers that use a "
       "CPU), tile (a work-group per tile, for GPUs), auto"},
      {sizeof(tsr_option), TSR_OPTION_TEXT, "storage", "auto",
       "how 8 and 16 bits are loaded and stored: native, emulated (in whole "
       "words), auto"},
      {sizeof(tsr_option), TSR_OPTION_TEXT, "subgroups", "auto",
       "what adds up the values of a work-group: native (subgroups), off "
       "(shared memory), auto"},
      {sizeof(tsr_option), TSR_OPTION_TEXT, "dot", "auto",
       "products of four s8 at a time where form=tile: native, emulated, off, "
       "auto"},
      {sizeof(tsr_option), TSR_OPTION_TEXT, "matrix", "auto",
       "cooperative matrices of s8 and f16 for many rows where form=tile: "
       "native, emulated, off, auto"},
      {sizeof(tsr_option), TSR_OPTION_TEXT, "staging", "auto",
       "which bytes of the host's take the way through the staging ring: "
       "needed "
       "(what the driver does not import or show), always, auto"},
      {sizeof(tsr_option), TSR_OPTION_TEXT, "queues", "auto",
       "sessions side by side, and copies beside them: native (queues of the "
       "device), emulated (by turns on one), off, auto"},
      {sizeof(tsr_option), TSR_OPTION_INTEGER, kTimeoutKey, kTimeoutMs,
       "milliseconds after which a submission counts as lost, and the device "
       "with it"},
  };
  return {options.data(), static_cast<uint32_t>(options.size()),
          sizeof(tsr_option)};
}

QueuePlan plan_queues(const GpuFacts& facts, const Features& features) {
  switch (features.queues) {
    case Way::kNative:
      return facts.queues;
    case Way::kEmulated:
      return emulated_lanes(facts.queues);
    default:
      return one_lane(facts.queues);
  }
}

Features read_options(const GpuFacts& facts, const sdk::Options& options) {
  Features features = best_features(facts);
  features.timeout_ns = read_timeout(kTimeoutMs);
  for (const auto& [feature, name] : options) {
    if (feature == kTimeoutKey) {
      features.timeout_ns = read_timeout(name);
    } else {
      set_feature(facts, feature, name, features);
    }
  }
  return features;
}

}  // namespace tessera::vulkan
