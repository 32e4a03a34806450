// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/table.hpp"

#include <gtest/gtest.h>

namespace tessera::cli {
namespace {

TEST(Table, AlignsColumnsAndEndsLinesWithoutSpaces) {
  Table table({{"name"}, {"bytes", Align::kRight}, {"note"}});
  table.add_row({"a", "1", ""});
  table.add_row({"longer", "1234567", "x"});
  EXPECT_EQ(table.text(),
            "name      bytes  note\n"
            "a             1\n"
            "longer  1234567  x\n");
}

TEST(Table, CountsCharactersNotBytes) {
  Table table({{"n"}, {"x"}});
  table.add_row({"é", "1"});
  table.add_row({"ab", "2"});
  EXPECT_EQ(table.text(), "n   x\né   1\nab  2\n");
}

TEST(Table, FillsMissingCellsAndDropsSurplusOnes) {
  Table table({{"a"}, {"b"}});
  table.add_row({"1"});
  table.add_row({"1", "2", "3"});
  EXPECT_EQ(table.text(), "a  b\n1\n1  2\n");
}

TEST(Table, WithoutRowsIsEmpty) { EXPECT_EQ(Table({{"a"}}).text(), ""); }

}  // namespace
}  // namespace tessera::cli
