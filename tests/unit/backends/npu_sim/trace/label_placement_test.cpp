// SPDX-License-Identifier: Apache-2.0
//
// Labels keep off each other, off points and off lines.

#include "backends/npu_sim/trace/label_placement.hpp"

#include <gtest/gtest.h>

#include <random>
#include <regex>
#include <string>
#include <vector>

#include "backends/npu_sim/trace/views.hpp"

namespace tessera::npu {
namespace {

constexpr Box kPicture{0, 0, 600, 400};

TEST(LabelPlacement, ALineCrossesWhatItPassesThrough) {
  constexpr Box kBox{10, 10, 20, 10};
  EXPECT_TRUE(crosses(kBox, {0, 15, 40, 15}));
  EXPECT_TRUE(crosses(kBox, {0, 0, 40, 30}));
  EXPECT_TRUE(crosses(kBox, {15, 15, 16, 16}));
  EXPECT_FALSE(crosses(kBox, {0, 15, 9, 15}));
  EXPECT_FALSE(crosses(kBox, {0, 30, 40, 31}));
  EXPECT_FALSE(crosses(kBox, {0, 25, 20, 45}));
}

TEST(LabelPlacement, LabelsOfEqualPointsLieApart) {
  LabelPlacement placement(kPicture);
  std::vector<Box> labels;
  for (int i = 0; i < 6; ++i) {
    labels.push_back(placement.place(300, 200, 70, 14));
  }
  for (size_t i = 0; i < labels.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      EXPECT_FALSE(overlap(labels[i], labels[j])) << i << ' ' << j;
    }
  }
}

TEST(LabelPlacement, LabelsStayInThePictureAndOffPointsAndLines) {
  std::mt19937 rng(7);
  const auto below = [&](int count) {
    return static_cast<double>(rng() % static_cast<uint32_t>(count));
  };
  for (int trial = 0; trial < 200; ++trial) {
    LabelPlacement placement(kPicture);
    const Segment line{0, 400, below(600), below(400)};
    placement.keep_free(line);
    std::vector<Box> taken;
    std::vector<Box> points;
    for (int i = 0; i < 3; ++i) {
      points.push_back({below(592), below(392), 8, 8});
      placement.keep_free(points.back());
      taken.push_back(points.back());
    }
    for (const Box& point : points) {
      const Box label = placement.place(point.x + 4, point.y + 4, 70, 14);
      EXPECT_GE(label.x, 0);
      EXPECT_GE(label.y, 0);
      EXPECT_LE(label.right(), kPicture.width);
      EXPECT_LE(label.bottom(), kPicture.height);
      EXPECT_FALSE(crosses(label, line)) << trial;
      for (const Box& other : taken) {
        EXPECT_FALSE(overlap(label, other)) << trial;
      }
      taken.push_back(label);
    }
  }
}

TEST(LabelPlacement, LongTextIsCutWithDots) {
  EXPECT_EQ(cut_to("short", 200, 11), "short");
  const std::string cut = cut_to(std::string(100, 'x'), 200, 11);
  EXPECT_LE(text_width(cut, 11), 200);
  EXPECT_EQ(cut.substr(cut.size() - 3), "...");
  EXPECT_EQ(cut_to("a\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4", 5 * 6.6, 11),
            "a...");  // no half of a letter
}

Kernel product_on(const Profile& profile, int64_t M, int64_t side) {
  Gemm gemm;
  gemm.M = M;
  gemm.N = gemm.K = side;
  return {"product", gemm, estimate(profile, gemm)};
}

// Texts of the file with an x of their own, as boxes.
std::vector<Box> texts_of(const std::string& svg) {
  static const std::regex kText(
      "<text[^>]* x='([0-9.]+)' y='([0-9.]+)'( text-anchor='([a-z]+)')?[^>]*>"
      "([^<]*)<");
  std::vector<Box> boxes;
  for (std::sregex_iterator i(svg.begin(), svg.end(), kText), end; i != end;
       ++i) {
    constexpr double kFont = 10;  // some room between two
    const double width = text_width((*i)[5].str(), kFont);
    const std::string anchor = (*i)[4].str();
    const double x = std::stod((*i)[1]) - (anchor == "end"      ? width
                                           : anchor == "middle" ? width / 2
                                                                : 0);
    boxes.push_back({x, std::stod((*i)[2]) - kFont, width, kFont});
  }
  return boxes;
}

TEST(LabelPlacement, NoTextOfAPictureCoversAnother) {
  for (const std::string& name : builtin_profiles()) {
    const Profile profile = load_profile(name);
    for (const int64_t M : {1, 16, 256, 8192}) {
      const std::vector<Kernel> kernels = {product_on(profile, M, 4096),
                                           product_on(profile, M, 4112),
                                           product_on(profile, M, 8192)};
      const std::vector<Box> texts = texts_of(roofline_svg(profile, kernels));
      ASSERT_GT(texts.size(), 20U);
      for (size_t i = 0; i < texts.size(); ++i) {
        EXPECT_GE(texts[i].x, 0) << name;
        EXPECT_LE(texts[i].right(), 900) << name;
        for (size_t j = 0; j < i; ++j) {
          EXPECT_FALSE(overlap(texts[i], texts[j]))
              << name << ' ' << M << ": " << i << ' ' << j;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tessera::npu
