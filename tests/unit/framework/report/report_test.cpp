// SPDX-License-Identifier: Apache-2.0

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "framework/report/document.hpp"
#include "framework/report/page.hpp"

namespace tessera::report {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kOpRow =
    R"({"op":"linear","device":"cpu","scheme":"f32","M":1,"N":2,"K":3,)"
    R"("median_ns":5.0,"limit":1.0,"samples_ns":[5.0,6.0]})";

std::string kind_of(const std::string& text) {
  const auto document = read_document("a.json", text);
  return document.ok() ? document->kind : document.status().message();
}

TEST(ReadDocument, TellsEachKindByItsKeys) {
  EXPECT_EQ(kind_of(std::string("[") + kOpRow + "]"), "bench ops");
  EXPECT_EQ(kind_of(R"([{"batch":1,"context":2,"decode_tokens_per_s":3}])"),
            "bench model");
  // compare prints an only candidate without a list.
  EXPECT_EQ(kind_of(R"({"device":"cpu","scheme":"f32","model_size":{},)"
                    R"("kl_mean":0})"),
            "comparison");
  EXPECT_EQ(kind_of(R"({"objective":"latency","predicted_ns":{},)"
                    R"("layers":[]})"),
            "plan");
  EXPECT_EQ(kind_of(R"({"scheme":"w8a8","bytes_in":1,"layers":[]})"),
            "quantization");
  EXPECT_EQ(kind_of(R"({"traceEvents":[]})"), "trace");
  EXPECT_EQ(kind_of(R"({"plugin":"cpu","levels":[]})"), "conformance");
  EXPECT_EQ(kind_of(R"({"environment":{},"devices":[]})"), "devices");
  // bench show has the environment and the devices as well.
  EXPECT_EQ(kind_of(R"({"machine":"a","kind":"ops","rows":[{}],)"
                    R"("environment":{},"devices":[]})"),
            "run");
}

TEST(ReadDocument, NamesTheFileThatItCannotShow) {
  for (const char* text :
       {"", "{", "[]", "{}", "3", "null", "[3]", R"([{"op":1}])",
        R"({"traceEvents":3})", R"([{"traceEvents":[]}])",
        R"({"machine":"a","kind":"ops","rows":[3]})"}) {
    SCOPED_TRACE(text);
    const auto document = read_document("a.json", text);
    ASSERT_FALSE(document.ok());
    EXPECT_EQ(document.status().code(), TSR_INVALID_ARGUMENT);
    EXPECT_THAT(document.status().message(),
                testing::StartsWith("a.json: not"));
  }
  const auto mixed =
      read_document("a.json", std::string("[") + kOpRow + R"(,{"batch":1}])");
  EXPECT_FALSE(mixed.ok());
}

TEST(ReadDocument, KeepsOneCoreOfATrace) {
  const auto trace = read_document(
      "t.json", R"({"traceEvents":[{"ph":"X","pid":0},{"ph":"X","pid":1},7]})");
  ASSERT_TRUE(trace.ok());
  EXPECT_EQ(trace->json.at("traceEvents").size(), 1U);
}

TEST(MakePage, HasEverythingInIt) {
  const auto document =
      read_document("ops.json", std::string("[") + kOpRow + "]");
  ASSERT_TRUE(document.ok());
  const std::string page = make_page(std::vector{*document});
  EXPECT_THAT(page, testing::StartsWith("<!DOCTYPE html>"));
  EXPECT_THAT(page, HasSubstr(R"("kind":"bench ops")"));
  EXPECT_THAT(page, Not(HasSubstr("samples_ns")));
  EXPECT_THAT(page, Not(HasSubstr("@@")));
  for (const char* foreign : {"src=\"", "@import", "url(http", "url(\""}) {
    EXPECT_THAT(page, Not(HasSubstr(foreign))) << foreign;
  }
}

TEST(PictureScript, HoldsNamesAndDocumentsAsText) {
  const auto document =
      read_document("`${1}\"\\\n.json", std::string("[") + kOpRow + "]");
  ASSERT_TRUE(document.ok());
  const std::vector<std::string> names = {"heat-map"};
  const std::string script = picture_script(std::vector{*document}, names);
  // A text in a text: nothing of a document is ever code.
  EXPECT_THAT(script, HasSubstr(R"(JSON.parse("{\"names\":[\"heat-map\"])"));
  EXPECT_THAT(script, HasSubstr(R"(\"name\":\"`${1}\\\"\\\\\\n.json\")"));
}

TEST(MakePage, LetsNoTextEndItsElement) {
  const auto document = read_document(
      "</script><script>alert(1)</script>",
      R"([{"op":"</script><!--","device":"@@SCRIPT@@","median_ns":1,)"
      R"("limit":1}])");
  ASSERT_TRUE(document.ok());
  const std::string page = make_page(std::vector{*document});
  EXPECT_THAT(page, Not(HasSubstr("</script><script>alert")));
  EXPECT_THAT(page, HasSubstr("\\u003c/script>\\u003c!--"));
  // What is inserted is not searched for marks.
  EXPECT_THAT(page, HasSubstr("\"device\":\"@@SCRIPT@@\""));
}

}  // namespace
}  // namespace tessera::report
