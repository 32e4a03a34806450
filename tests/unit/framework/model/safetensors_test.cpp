// SPDX-License-Identifier: Apache-2.0

#include "framework/model/safetensors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

Result<Safetensors> parse(const std::string& bytes) {
  return Safetensors::parse(as_bytes(bytes), "f");
}

TEST(Safetensors, ReadsNamesTypesShapesAndData) {
  const std::string bytes = safetensors_bytes(
      R"({"__metadata__":{"format":"pt"},
          "b":{"dtype":"F16","shape":[2,1],"data_offsets":[3,7]},
          "a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]},
          "s":{"dtype":"F32","shape":[],"data_offsets":[7,11]},
          "e":{"dtype":"F32","shape":[0,9],"data_offsets":[7,7]}})",
      "xyzABCD1234");
  const auto file = parse(bytes);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_THAT(file->metadata(), ElementsAre(Pair("format", "pt")));
  ASSERT_EQ(file->tensors().size(), 4U);
  EXPECT_EQ(file->tensors()[0].name, "a");

  const TensorView* a = file->find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->dtype, TSR_DTYPE_NONE);
  EXPECT_EQ(a->dtype_name, "BOOL");
  EXPECT_EQ(a->data.size(), 3U);

  const TensorView* b = file->find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->dtype, TSR_F16);
  EXPECT_THAT(b->shape, ElementsAre(2, 1));
  EXPECT_EQ(static_cast<char>(b->data[0]), 'A');

  EXPECT_THAT(file->find("s")->shape, IsEmpty());
  EXPECT_EQ(file->find("s")->data.size(), 4U);
  EXPECT_EQ(file->find("e")->data.size(), 0U);
  EXPECT_EQ(file->find("c"), nullptr);
}

TEST(Safetensors, ReadsAFileWithoutTensors) {
  const auto file = parse(safetensors_bytes("{}   ", ""));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_THAT(file->tensors(), IsEmpty());
}

TEST(Safetensors, KeepsViewsValidWhenMoved) {
  const ScratchFolder folder;
  const std::string path = folder.write(
      "m",
      safetensors_bytes(
          R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "abcd"));
  auto opened = Safetensors::open(path);
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  const TensorView* view = opened->find("t");
  const Safetensors moved = std::move(*opened);
  EXPECT_EQ(moved.find("t"), view);
  EXPECT_EQ(static_cast<char>(view->data[3]), 'd');
}

TEST(Safetensors, NamesTheFileItCouldNotOpen) {
  const auto file = Safetensors::open("/nowhere/m.safetensors");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), TSR_NOT_FOUND);
  EXPECT_THAT(file.status().message(), HasSubstr("/nowhere/m.safetensors"));
}

TEST(Safetensors, RefusesALengthThatDoesNotFit) {
  EXPECT_FALSE(parse("").ok());
  EXPECT_FALSE(parse("1234567").ok());
  std::string bytes = safetensors_bytes("{}", "");
  bytes[0] = 3;  // one more than there is
  EXPECT_FALSE(parse(bytes).ok());
  bytes = std::string(8, '\xff') + "{}";
  const auto file = parse(bytes);
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(file.status().message(),
              HasSubstr("a header of 18446744073709551615 bytes in a file of "
                        "10 bytes"));
}

struct BadHeader {
  const char* header;
  const char* data;
  const char* message;

  friend void PrintTo(const BadHeader& bad, std::ostream* out) {
    *out << bad.message;
  }
};

class SafetensorsErrors : public ::testing::TestWithParam<BadHeader> {};

TEST_P(SafetensorsErrors, NameTheTensorAndTheClash) {
  const auto file =
      parse(safetensors_bytes(GetParam().header, GetParam().data));
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), TSR_INVALID_ARGUMENT);
  EXPECT_THAT(file.status().message(), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, SafetensorsErrors,
    ::testing::Values(
        BadHeader{"[]", "", "f: the header is not an object"},
        BadHeader{R"({"t":1})", "", "f: tensor t: is number, expected an"},
        BadHeader{R"({"t":{"dtype":"F7","shape":[],"data_offsets":[0,4]}})", "",
                  "tensor t: dtype F7 is unknown"},
        BadHeader{R"({"t":{"dtype":"F32","data_offsets":[0,4]}})", "",
                  "tensor t: shape is missing"},
        BadHeader{R"({"t":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
                  "", "tensor t: shape holds number, expected counts"},
        BadHeader{R"({"t":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}})",
                  "", "tensor t: shape holds string"},
        BadHeader{R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
                  "", "tensor t: data_offsets is not [begin, end]"},
        BadHeader{R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", "",
                  "data_offsets is not [begin, end]"},
        BadHeader{R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})",
                  "abcd", "hold 4 bytes, which is not F32 [2]"},
        BadHeader{R"({"t":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})",
                  "ab", "hold 2 bytes, which is not F4 [3]"},
        BadHeader{R"({"t":{"dtype":"U8","shape":[4294967296,4294967296],
                       "data_offsets":[0,0]}})",
                  "", "which is not U8 [4294967296, 4294967296]"},
        BadHeader{R"({"t":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,
                       1,1],"data_offsets":[0,1]}})",
                  "a", "has 17 axes, more than 16"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
                      "b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
                  "abc", "tensor b begins at 1, but the one before it ends at"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                      "b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
                  "abc", "tensor b begins at 2"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                  "abc", "end at 1, but the file has 3 bytes"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
                  "abc", "end at 4, but the file has 3 bytes"},
        BadHeader{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                      "a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                  "a", "key \"a\" stands twice"},
        BadHeader{R"({"__metadata__":[]})", "", "__metadata__ is not an"},
        BadHeader{R"({"__metadata__":{"a":1}})", "",
                  "__metadata__ a is not a string"}));

}  // namespace
}  // namespace tessera
