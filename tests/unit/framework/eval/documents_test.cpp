// SPDX-License-Identifier: Apache-2.0
//
// How a text file is cut into documents.

#include "framework/eval/documents.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Documents, SeparatorLinesCut) {
  EXPECT_THAT(split_documents("a\n\nb\n\n<|endoftext|>\n\nc\n"),
              ElementsAre("a\n\nb", "c"));
}

TEST(Documents, ASeparatorInsideALineIsText) {
  EXPECT_THAT(split_documents("a <|endoftext|> b"),
              ElementsAre("a <|endoftext|> b"));
}

TEST(Documents, EmptyOnesAreLeftOut) {
  EXPECT_THAT(split_documents("<|endoftext|>\n\n<|endoftext|>\na"),
              ElementsAre("a"));
  EXPECT_THAT(split_documents(""), IsEmpty());
  EXPECT_THAT(split_documents("\n\n"), IsEmpty());
}

TEST(Documents, WindowsLinesToo) {
  EXPECT_THAT(split_documents("a\r\n<|endoftext|>\r\nb\r\n"),
              ElementsAre("a", "b"));
}

}  // namespace
}  // namespace tessera
