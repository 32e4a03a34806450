// SPDX-License-Identifier: Apache-2.0
//
// Shipped profiles load; a wrong one names what is wrong.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "backends/npu_sim/profile/fields.hpp"
#include "backends/npu_sim/profile/nearest_name.hpp"
#include "backends/npu_sim/profile/profile.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

using testing::AllOf;
using testing::HasSubstr;

template <typename Body>
std::string refusal(const Body& body) {
  try {
    body();
  } catch (const sdk::Error& error) {
    return error.what();
  }
  return "no error";
}

std::string parse_refusal(const std::string& extra) {
  return refusal([&] {
    parse_profile("based_on: 910b1\nname: mine\n" + extra, "mine.yaml");
  });
}

TEST(Profile, EveryShippedOneLoadsWithASourceForEveryParameter) {
  ASSERT_EQ(builtin_profiles().size(), 8U);
  for (const std::string& name : builtin_profiles()) {
    const Profile profile = load_profile(name);
    EXPECT_EQ(profile.name, name);
    EXPECT_EQ(profile.parameters.size(), profile_fields().size());
    for (const Parameter& parameter : profile.parameters) {
      EXPECT_FALSE(parameter.source.empty()) << name << ' ' << parameter.key;
    }
  }
}

// 2 * 4096 MAC * 24 cores * 1.85 GHz, and the same with 8192.
TEST(Profile, CubePeaksFollowFromCoresAndClock) {
  const Profile profile = load_profile("910b");
  EXPECT_EQ(profile.name, "910b1");
  EXPECT_NEAR(profile.cube_tops(profile.cube.macs_f16), 363.7, 0.1);
  EXPECT_NEAR(profile.cube_tops(profile.cube.macs_s8), 727.4, 0.1);
  EXPECT_NEAR(load_profile("310p").cube_tops(load_profile("310p").cube.macs_s8),
              138.9, 0.1);
}

TEST(Profile, UnknownNameSuggestsTheNearest) {
  EXPECT_THAT(refusal([] { load_profile("310q"); }), HasSubstr("'310p'"));
  EXPECT_THAT(refusal([] { load_profile("910d"); }), HasSubstr("'910c'"));
}

TEST(Profile, UnreadableFileIsNamed) {
  EXPECT_THAT(refusal([] { load_profile("no/such.yaml"); }),
              HasSubstr("no/such.yaml"));
}

TEST(Profile, UnknownKeySuggestsTheNearest) {
  EXPECT_THAT(parse_refusal("clock_mz: {value: 1, source: a}\n"),
              AllOf(HasSubstr("mine.yaml"), HasSubstr("'clock_mz'"),
                    HasSubstr("'clock_mhz'")));
}

TEST(Profile, AbsurdValueIsRefusedWithTheRange) {
  EXPECT_THAT(
      parse_refusal("clock_mhz: {value: -5, source: a}\n"),
      AllOf(HasSubstr("clock_mhz"), HasSubstr("-5"), HasSubstr("50 to 10000")));
  EXPECT_THAT(parse_refusal("clock_mhz: {value: nan, source: a}\n"),
              HasSubstr("clock_mhz"));
  EXPECT_THAT(parse_refusal("cube_cores: {value: 2.5, source: a}\n"),
              HasSubstr("whole number"));
  EXPECT_THAT(parse_refusal("cube.bf16: {value: 7, source: a}\n"),
              HasSubstr("true or false"));
}

TEST(Profile, MissingParameterIsNamed) {
  EXPECT_THAT(refusal([] { parse_profile("name: x\n", "x.yaml"); }),
              AllOf(HasSubstr("x.yaml"), HasSubstr("'cube_cores'")));
}

TEST(Profile, ValueWithoutSourceIsRefused) {
  EXPECT_THAT(parse_refusal("clock_mhz: 1850\n"), HasSubstr("source"));
  EXPECT_THAT(parse_refusal("clock_mhz: {value: 1850, source: ''}\n"),
              HasSubstr("source is empty"));
}

TEST(Profile, MalformedTextIsOneError) {
  for (const char* text : {"", "[1, 2]", "a: [", "clock_mhz: {value: [1]}",
                           "? [a]\n: b", "based_on: nothing"}) {
    EXPECT_THAT(refusal([&] { parse_profile(text, "bad.yaml"); }),
                HasSubstr("profile bad.yaml: "))
        << text;
  }
}

TEST(Profile, ClashingParametersAreRefused) {
  EXPECT_THAT(parse_refusal("vector_cores: {value: 25, source: a}\n"),
              AllOf(HasSubstr("25"), HasSubstr("24")));
  EXPECT_THAT(parse_refusal("exit.fixpipe: {value: false, source: a}\n"),
              HasSubstr("exit.l0c_to_ub_rate"));
}

TEST(Profile, ParameterSetByKeyIsMarkedAssumed) {
  const Profile profile =
      with_parameters(load_profile("310p"), {{"global.dram_gbps", 102.4}});
  EXPECT_DOUBLE_EQ(profile.global.dram_gbps, 102.4);
  for (const Parameter& parameter : profile.parameters) {
    if (parameter.key == "global.dram_gbps") {
      EXPECT_TRUE(parameter.assumed);
    }
  }
}

TEST(NearestName, OfNamesAsNearTheOneThatBeginsAlike) {
  const std::vector<std::string> names = {"310p", "910b1", "910c"};
  EXPECT_EQ(nearest_name("910c1", names), "910c");  // each an edit away
  EXPECT_EQ(nearest_name("311p", names), "310p");
}

}  // namespace
}  // namespace tessera::npu
