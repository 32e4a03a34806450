// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/device/variants.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace tessera::device_test {

Options options_of(const std::string& text) {
  Options options;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    options.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return options;
}

std::string test_name_of(const std::string& text) {
  std::string name = text;
  std::replace(name.begin(), name.end(), '=', '_');
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

void expect_linears(const std::shared_ptr<Device>& device,
                    const std::vector<const char*>& kinds) {
  std::mt19937 rng(42);
  for (const char* name : kinds) {
    SCOPED_TRACE(name);
    const WeightKind kind = weight_kind(name);
    const auto planes = random_weight(kind, 135, 328, rng);
    for (const uint32_t M : {1U, 9U, 70U}) {
      for (const uint32_t act_quant :
           {uint32_t{TSR_ACT_FLOAT}, uint32_t{TSR_ACT_I8_DYNAMIC}}) {
        if (act_quant != TSR_ACT_FLOAT && !has_integer_codes(kind)) continue;
        LinearCase c;
        c.M = M;
        c.act_quant = act_quant;
        c.x_dtype = c.y_dtype = TSR_F16;
        c.n_begin = 3;
        expect_linear(device, planes, c);
      }
    }
  }
}

void expect_extreme_codes(const std::shared_ptr<Device>& device) {
  std::mt19937 rng(42);
  auto planes = random_weight(weight_kind("i8_channel"), 20, 1027, rng);
  for (std::byte& code : planes.find(TSR_PLANE_CODES)->owned) {
    code = std::byte{0x80};
  }
  add_static_activation(planes, 127);
  for (const uint32_t act_quant : {TSR_ACT_I8_DYNAMIC, TSR_ACT_I8_STATIC}) {
    for (const uint32_t M : {1U, 9U, 20U}) {
      LinearCase c;
      c.M = M;
      c.act_quant = act_quant;
      c.y_dtype = TSR_I32;
      c.accumulate = true;
      expect_linear(device, planes, c);
    }
  }
}

}  // namespace tessera::device_test
