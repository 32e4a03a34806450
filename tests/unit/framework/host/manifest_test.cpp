// SPDX-License-Identifier: Apache-2.0

#include "framework/host/loading/manifest.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

namespace tessera {
namespace {

const std::string kSha256(64, 'a');

using Fields = std::vector<std::pair<std::string, std::string>>;

Fields good_fields() {
  return {{"format", "1"},           {"name", "\"cpu\""},
          {"library", "\"cpu.so\""}, {"abi_min", "\"1.0\""},
          {"abi_max", "\"1.2\""},    {"sha256", "\"" + kSha256 + "\""}};
}

std::string to_json(const Fields& fields) {
  std::string text;
  for (const auto& [key, value] : fields) {
    text += (text.empty() ? "{" : ", ") + ("\"" + key + "\": ") + value;
  }
  return text + "}";
}

std::string error_of(const std::string& text) {
  const Result<Manifest> manifest = parse_manifest(text);
  if (manifest.ok()) return "";
  EXPECT_EQ(manifest.status().code(), TSR_INVALID_ARGUMENT);
  return manifest.status().message();
}

std::string error_with(const std::string& key, const std::string& value) {
  Fields fields = good_fields();
  for (auto& field : fields) {
    if (field.first == key) field.second = value;
  }
  return error_of(to_json(fields));
}

TEST(Manifest, IsReadWhole) {
  const Result<Manifest> manifest = parse_manifest(to_json(good_fields()));
  ASSERT_TRUE(manifest.ok()) << manifest.status().message();
  EXPECT_EQ(manifest->name, "cpu");
  EXPECT_EQ(manifest->library, "cpu.so");
  EXPECT_EQ(manifest->abi_min, 0x10000u);
  EXPECT_EQ(manifest->abi_max, 0x10002u);
  EXPECT_EQ(manifest->sha256, kSha256);
}

TEST(Manifest, NeedsEveryKey) {
  for (size_t left_out = 0; left_out < 6; ++left_out) {
    Fields fields = good_fields();
    const std::string key = fields[left_out].first;
    fields.erase(fields.begin() + static_cast<int64_t>(left_out));
    EXPECT_EQ(error_of(to_json(fields)), "manifest: no key \"" + key + "\"");
  }
}

TEST(Manifest, RefusesWhatItDoesNotKnow) {
  Fields fields = good_fields();
  fields.emplace_back("extra", "1");
  EXPECT_EQ(error_of(to_json(fields)), "manifest: unknown key \"extra\"");
}

TEST(Manifest, RefusesAKeyThatComesTwice) {
  Fields fields = good_fields();
  fields.emplace_back("name", "\"gpu\"");
  EXPECT_EQ(error_of(to_json(fields)), "manifest: two keys \"name\"");
}

TEST(Manifest, RefusesValuesThatMakeNoSense) {
  EXPECT_EQ(error_with("format", "2"),
            "manifest: \"format\" is 2; this host reads 1");
  EXPECT_NE(error_with("format", "1.0"), "");
  EXPECT_NE(error_with("name", "\"../cpu\""), "");
  EXPECT_NE(error_with("name", "\"\""), "");
  EXPECT_NE(error_with("name", "7"), "");
  EXPECT_NE(error_with("library", "\"/lib/cpu.so\""), "");
  EXPECT_NE(error_with("library", "\"..\""), "");
  EXPECT_NE(error_with("abi_min", "\"1\""), "");
  EXPECT_NE(error_with("abi_min", "\"1.0.0\""), "");
  EXPECT_NE(error_with("abi_min", "\"1.70000\""), "");
  EXPECT_NE(error_with("abi_min", "\"-1.0\""), "");
  EXPECT_EQ(error_with("abi_min", "\"2.0\""),
            "manifest: \"abi_min\" is above \"abi_max\"");
  EXPECT_NE(error_with("sha256", "\"" + std::string(64, 'A') + "\""), "");
  EXPECT_NE(error_with("sha256", "\"abc\""), "");
}

TEST(Manifest, RefusesWhatIsNotAnObject) {
  for (const char* text : {"", "[]", "null", "1", "{", "{} {}", "\xff"}) {
    EXPECT_NE(error_of(text), "") << text;
  }
  EXPECT_NE(error_of(std::string(50000, '[')), "");
}

// Whatever a damaged manifest says, it gives an error or a manifest.
TEST(Manifest, SurvivesDamage) {
  std::mt19937 rng(42);
  const std::string good = to_json(good_fields());
  for (int round = 0; round < 2000; ++round) {
    std::string text = good;
    for (uint32_t flips = rng() % 4 + 1; flips > 0; --flips) {
      text[rng() % text.size()] = static_cast<char>(rng());
    }
    text.resize(text.size() - rng() % 3);
    const Result<Manifest> manifest = parse_manifest(text);
    EXPECT_TRUE(manifest.ok() || !manifest.status().message().empty());
  }
}

}  // namespace
}  // namespace tessera
