// SPDX-License-Identifier: Apache-2.0

#include "framework/host/signing/key_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tessera {
namespace {

using ::testing::HasSubstr;

const std::string kKey(64, 'a');

TEST(KeyList, ReadsKeysRequireAndComments) {
  const auto list = parse_key_list("# ours\nkey " + kKey +
                                   " the vendor # of the card\n\nrequire\n");
  ASSERT_TRUE(list.ok()) << list.status().message();
  EXPECT_TRUE(list->is_required);
  ASSERT_EQ(list->names.size(), 1u);
  EXPECT_EQ(list->names.at(kKey), "the vendor");
}

TEST(KeyList, AnEmptyOneRequiresNothing) {
  const auto list = parse_key_list("");
  ASSERT_TRUE(list.ok());
  EXPECT_FALSE(list->is_required);
}

TEST(KeyList, NamesTheLineThatItCannotRead) {
  EXPECT_THAT(parse_key_list("require\nkeys x y\n").status().message(),
              HasSubstr("line 2"));
  EXPECT_THAT(parse_key_list("key abc me\n").status().message(),
              HasSubstr("64 lower-case hex digits"));
  EXPECT_FALSE(parse_key_list("key " + kKey + "\n").ok()) << "without a name";
  EXPECT_FALSE(parse_key_list("Require\n").ok());
}

TEST(KeyList, EitherListMayRequireSignatures) {
  KeyList list;
  KeyList other;
  other.is_required = true;
  other.names[kKey] = "theirs";
  list.merge(other);
  EXPECT_TRUE(list.is_required);
  list.merge({});
  EXPECT_TRUE(list.is_required);
  EXPECT_EQ(list.names.at(kKey), "theirs");
}

}  // namespace
}  // namespace tessera
