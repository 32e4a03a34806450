// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/features.hpp"

#include "backends/opencl/runtime/program_builder.hpp"
#include "tessera/error.hpp"

namespace tessera::opencl {
namespace {

using Offered = bool (*)(const DeviceFacts& facts);

bool always(const DeviceFacts&) { return true; }
bool never(const DeviceFacts&) { return false; }
bool has_half(const DeviceFacts& facts) {
  return facts.has_extension("cl_khr_fp16");
}
// The built-ins need OpenCL C 3.0.
bool has_dot(const DeviceFacts& facts) {
  return facts.is_version_3 &&
         facts.has_extension("cl_khr_integer_dot_product");
}
bool has_subgroups(const DeviceFacts& facts) {
  return facts.is_version_3 && facts.has_extension("cl_khr_subgroups");
}

// One way of a feature.  `best` says whether a device takes it unasked; the
// first such row of a feature counts.
struct Way {
  const char* feature;
  uint32_t Features::*field;
  const char* name;
  uint32_t code;
  Offered offered;
  Offered best;
};

// clang-format off
constexpr Way kWays[] = {
    {"half",      &Features::half,      "native",   2,  has_half,      has_half},
    {"half",      &Features::half,      "storage",  1,  always,        never},
    {"half",      &Features::half,      "bits",     0,  always,        always},
    {"dot",       &Features::dot,       "native",   2,  has_dot,       has_dot},
    {"dot",       &Features::dot,       "emulated", 1,  always,        never},
    {"dot",       &Features::dot,       "off",      0,  always,        always},
    {"subgroups", &Features::subgroups, "native",   2,  has_subgroups, has_subgroups},
    {"subgroups", &Features::subgroups, "emulated", 1,  always,        never},
    {"subgroups", &Features::subgroups, "off",      0,  always,        always},
    {"pairs",     &Features::pairs,     "native",   2,  always,        always},
    {"pairs",     &Features::pairs,     "emulated", 1,  always,        never},
    {"pairs",     &Features::pairs,     "off",      0,  always,        never},
    {"width",     &Features::width,     "16",       16, always,
     [](const DeviceFacts& facts) { return facts.vector_width >= 16; }},
    {"width",     &Features::width,     "8",        8,  always,
     [](const DeviceFacts& facts) { return facts.vector_width == 8; }},
    {"width",     &Features::width,     "4",        4,  always,        always},
};

constexpr const char* kNeeds[][2] = {
    {"half", "cl_khr_fp16"},
    {"dot", "cl_khr_integer_dot_product of OpenCL 3.0"},
    {"subgroups", "cl_khr_subgroups of OpenCL 3.0"},
};
// clang-format on

std::string need_of(const std::string& feature) {
  for (const auto& [name, need] : kNeeds) {
    if (feature == name) return need;
  }
  return "nothing";
}

}  // namespace

Features best_features(const DeviceFacts& facts) {
  Features features;
  std::string done;
  for (const Way& way : kWays) {
    if (done == way.feature || !way.best(facts)) continue;
    features.*way.field = way.code;
    done = way.feature;
  }
  return features;
}

bool set_feature(const DeviceFacts& facts,
                 const std::pair<std::string, std::string>& option,
                 Features& features) {
  std::string names = "auto";
  bool exists = false;
  for (const Way& way : kWays) {
    if (option.first != way.feature) continue;
    exists = true;
    names += std::string(", ") + way.name;
    if (option.second != way.name) continue;
    if (!way.offered(facts)) {
      throw sdk::Error(TSR_INVALID_ARGUMENT,
                       "opencl: option " + option.first + "=" + option.second +
                           " needs " + need_of(option.first) + ", which " +
                           facts.name + " does not have");
    }
    features.*way.field = way.code;
    return true;
  }
  if (exists && option.second != "auto") {
    throw sdk::Error(TSR_INVALID_ARGUMENT, "opencl: option " + option.first +
                                               "=" + option.second +
                                               " is none of " + names);
  }
  return exists;
}

const std::vector<tsr_option>& feature_options() {
  static const std::vector<tsr_option> options = {
      {sizeof(tsr_option), TSR_OPTION_TEXT, "half", "auto",
       "how f16 becomes f32: native, storage (vload_half), bits, auto"},
      {sizeof(tsr_option), TSR_OPTION_TEXT, "dot", "auto",
       "products of four s8 at a time where form=tile: native, emulated, off, "
       "auto"},
      {sizeof(tsr_option), TSR_OPTION_TEXT, "subgroups", "auto",
       "sub-groups add up one row where form=tile: native, emulated, off, "
       "auto"},
      {sizeof(tsr_option), TSR_OPTION_TEXT, "pairs", "auto",
       "products of two s16 at a time where form=block: native (as f32 where "
       "the compiler knows no instruction), emulated, off, auto"},
      {sizeof(tsr_option), TSR_OPTION_TEXT, "width", "auto",
       "of vectors, for the rows in registers where form=block: 16, 8, 4, "
       "auto"},
  };
  return options;
}

std::string common_constants(const Features& features) {
  std::string constants;
  if (features.half != 0) constants += define("HALF", features.half);
  if (features.width != 16) constants += define("WIDTH", features.width);
  return constants;
}

std::string group_constants(const Features& features) {
  constexpr uint32_t kNative = 2;
  return features.subgroups == kNative ? define("SUBGROUPS", kNative) : "";
}

std::string linear_constants(const Features& features, bool codes_are_s8) {
  std::string constants;
  if (features.dot != 0 && codes_are_s8) {
    constants += define("DOT", features.dot);
  }
  if (features.subgroups != 0) {
    constants += define("SUBGROUPS", features.subgroups);
  }
  return constants;
}

}  // namespace tessera::opencl
