// SPDX-License-Identifier: Apache-2.0
//
// A table of text with aligned columns.

#pragma once

#include <string>
#include <vector>

namespace tessera::cli {

enum class Align { kLeft, kRight };

struct Column {
  std::string header;
  Align align = Align::kLeft;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // Missing cells are empty; cells past the last column are dropped.
  void add_row(std::vector<std::string> cells);

  // Header and rows, each ended by a newline; two spaces between columns and
  // none at the end of a line.  Empty if there are no rows.
  std::string text() const;

 private:
  std::string line(const std::vector<std::string>& cells,
                   const std::vector<size_t>& widths) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace tessera::cli
