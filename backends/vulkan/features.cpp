// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/features.hpp"

#include <vector>

#include "tessera/error.hpp"

namespace tessera::vulkan {
namespace {

using Asks = bool (*)(const GpuFacts& facts);

bool always(const GpuFacts&) { return true; }

// Whole subgroups that shuffle, of which a tile of 64 rows holds a few.
bool has_blocks(const GpuFacts& facts) {
  const uint32_t lanes = facts.subgroup_size;
  return lanes >= 4 && lanes <= 64 && (lanes & (lanes - 1)) == 0 &&
         (facts.subgroup_operations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT) != 0;
}
bool wants_blocks(const GpuFacts& facts) {
  return facts.is_cpu && has_blocks(facts);
}

void set_form(Features& features, uint32_t code) {
  features.form = static_cast<Form>(code);
}

// One way of a feature.  `best` says whether a device takes it unasked; the
// first such row of a feature counts.
struct Way {
  const char* feature;
  const char* name;
  uint32_t code;
  void (*set)(Features& features, uint32_t code);
  Asks offered;
  Asks best;
  const char* needs;
};

// clang-format off
constexpr Way kWays[] = {
    {"form", "block", 0, set_form, has_blocks, wants_blocks, "subgroups of 4 to 64 that shuffle"},
    {"form", "tile",  1, set_form, always,     always,       ""},
};
// clang-format on

Features best_features(const GpuFacts& facts) {
  Features features;
  std::string done;
  for (const Way& way : kWays) {
    if (done == way.feature || !way.best(facts)) continue;
    way.set(features, way.code);
    done = way.feature;
  }
  return features;
}

[[noreturn]] void refuse(const GpuFacts& facts, const Way& way) {
  throw sdk::Error(TSR_INVALID_ARGUMENT,
                   std::string("vulkan: option ") + way.feature + "=" +
                       way.name + " needs " + way.needs + ", which " +
                       facts.name + " does not have");
}

void set_feature(const GpuFacts& facts, const std::string& feature,
                 const std::string& name, Features& features) {
  std::string known;
  std::string names = "auto";
  bool exists = false;
  for (const Way& way : kWays) {
    if (known.find(way.feature) == std::string::npos) {
      if (!known.empty()) known += ", ";
      known += way.feature;
    }
    if (feature != way.feature) continue;
    exists = true;
    names.append(", ").append(way.name);
    if (name != way.name) continue;
    if (!way.offered(facts)) refuse(facts, way);
    way.set(features, way.code);
    return;
  }
  if (!exists) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "vulkan: no option " + feature + "; there is " + known);
  }
  if (name == "auto") return;
  throw sdk::Error(TSR_INVALID_ARGUMENT, "vulkan: option " + feature + "=" +
                                             name + " is none of " + names);
}

}  // namespace

tsr_array option_table() {
  static const std::vector<tsr_option> options = {
      {sizeof(tsr_option), TSR_OPTION_TEXT, "form", "auto",
       "how work is cut: block (a subgroup per block, for drivers that use a "
       "CPU), tile (a work-group per tile, for GPUs), auto"},
  };
  return {options.data(), static_cast<uint32_t>(options.size()),
          sizeof(tsr_option)};
}

Features read_options(const GpuFacts& facts, const sdk::Options& options) {
  Features features = best_features(facts);
  for (const auto& [feature, name] : options) {
    set_feature(facts, feature, name, features);
  }
  return features;
}

}  // namespace tessera::vulkan
