// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/table.hpp"

#include <algorithm>

namespace tessera::cli {
namespace {

// Characters of UTF-8 text, each taken to be one column wide.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) {
        return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
      }));
}

}  // namespace

void Table::add_row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::line(const std::vector<std::string>& cells,
                        const std::vector<size_t>& widths) const {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string space(widths[i] - width_of(cells[i]), ' ');
    if (i > 0) line += "  ";
    line += columns_[i].align == Align::kRight ? space + cells[i]
                                               : cells[i] + space;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string Table::text() const {
  if (rows_.empty()) return {};
  std::vector<std::string> headers;
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    headers.push_back(columns_[i].header);
    widths.push_back(width_of(columns_[i].header));
    for (const auto& row : rows_) {
      widths[i] = std::max(widths[i], width_of(row[i]));
    }
  }
  std::string text = line(headers, widths);
  for (const auto& row : rows_) text += line(row, widths);
  return text;
}

}  // namespace tessera::cli
