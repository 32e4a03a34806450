// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/plan_file/plan_picture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tessera::planner {
namespace {

using ::testing::HasSubstr;

size_t count(const std::string& text, const std::string& what) {
  size_t found = 0;
  for (size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + 1)) {
    ++found;
  }
  return found;
}

PlannedPart part(const std::string& device, const std::string& scheme,
                 double ns) {
  PlannedPart result;
  result.device = device;
  result.scheme = scheme;
  result.predicted_ns = ns;
  return result;
}

PlannedLayer layer(const std::string& name, const std::string& op,
                   const std::string& segment, const PlannedPart& prefill,
                   const PlannedPart& decode) {
  PlannedLayer result;
  result.name = name;
  result.op = op;
  result.segment = segment;
  result.phases = {{{prefill}, {decode}}};
  return result;
}

// One layer on `a`, whose second linear decodes in another precision, and a
// head on `b`.
PlanFile two_devices() {
  PlanFile plan;
  plan.device_fingerprints = {{"a", ""}, {"b", ""}};
  plan.layers = {
      layer("layers.0", "segment", "layers.0", part("a", "", 1e6),
            part("a", "", 1e5)),
      layer("layers.0.up", "linear", "layers.0", part("a", "w8a16", 2e6),
            part("a", "w8a16", 2e5)),
      layer("layers.0.down", "linear", "layers.0", part("a", "w4a16_g32", 3e6),
            part("a", "bf16", 3e5)),
      layer("head", "segment", "head", part("b", "", 4e6), part("b", "", 4e5)),
  };
  return plan;
}

TEST(PlanPicture, NamesPrecisionsAboveTheLayers) {
  const std::string svg = draw_plan(two_devices(), {"latency 4 s & more"});
  const size_t first_layer = svg.find(">layers.0<");
  ASSERT_NE(first_layer, std::string::npos);
  EXPECT_THAT(svg, HasSubstr(">latency 4 s &amp; more<"));
  for (const char* scheme : {"w8a16", "w4a16_g32", "bf16"}) {
    EXPECT_LT(svg.find(">" + std::string(scheme) + "</text>"), first_layer)
        << scheme;
  }
}

TEST(PlanPicture, AddsUpTimesBySegmentAndDevice) {
  const std::string svg = draw_plan(two_devices(), {});
  // The segment's own ops and both linears; `a` runs nothing else.
  EXPECT_EQ(count(svg, ">6.00 / 0.6000 ms<"), 2U);
  EXPECT_EQ(count(svg, ">4.00 / 0.4000 ms<"), 2U);
}

TEST(PlanPicture, HalvesACellWherePhasesDiffer) {
  PlanFile plan = two_devices();
  // A rectangle for each linear in each phase.
  EXPECT_EQ(count(draw_plan(plan, {}), "<title>layers.0."), 4U);
  plan.layers[2].phases[kDecode] = plan.layers[2].phases[kPrefill];
  EXPECT_EQ(count(draw_plan(plan, {}), "<title>layers.0."), 2U);
}

TEST(PlanPicture, ShowsBothPartsOfADividedLinear) {
  PlanFile plan = two_devices();
  for (auto& parts : plan.layers[1].phases) {
    parts = {part("a", "w8a16", 1e6), part("b", "w8a16", 5e6)};
  }
  const std::string svg = draw_plan(plan, {});
  EXPECT_EQ(count(svg, "<title>layers.0.up w8a16<"), 3U)
      << "two halves on a, one whole stripe on b";
  EXPECT_THAT(svg, HasSubstr(">5.00 / 5.00 ms<"));
}

TEST(PlanPicture, ColoursEachPrecisionAlike) {
  const std::string svg = draw_plan(two_devices(), {});
  const auto colour_of = [&](const std::string& title) {
    const size_t end = svg.find("\"><title>" + title + "<");
    EXPECT_NE(end, std::string::npos) << title;
    const size_t begin = svg.rfind('"', end - 1);
    return svg.substr(begin, end - begin);
  };
  EXPECT_EQ(colour_of("w8a16"), colour_of("layers.0.up w8a16"));
  EXPECT_NE(colour_of("w8a16"), colour_of("w4a16_g32"));
  EXPECT_NE(colour_of("bf16"), colour_of("w4a16_g32"));
}

}  // namespace
}  // namespace tessera::planner
