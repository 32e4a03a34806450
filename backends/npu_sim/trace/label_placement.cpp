// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/trace/label_placement.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace tessera::npu {
namespace {

constexpr double kLetterWidth = 0.6;  // of the font's size, as digits
constexpr double kDistance = 8;       // of a label to its point
constexpr int kRings = 8;             // further ones lie a line further each
constexpr size_t kBoxFault = 100;

}  // namespace

bool overlap(const Box& a, const Box& b) {
  return a.x < b.right() && b.x < a.right() && a.y < b.bottom() &&
         b.y < a.bottom();
}

// Liang and Barsky: the part of the line within all four sides.
bool crosses(const Box& box, const Segment& line) {
  const double dx = line.x2 - line.x1;
  const double dy = line.y2 - line.y1;
  double first = 0;
  double last = 1;
  const std::pair<double, double> sides[] = {{-dx, line.x1 - box.x},
                                             {dx, box.right() - line.x1},
                                             {-dy, line.y1 - box.y},
                                             {dy, box.bottom() - line.y1}};
  for (const auto& [towards, room] : sides) {
    if (towards == 0) {
      if (room < 0) return false;
    } else if (towards < 0) {
      first = std::max(first, room / towards);
    } else {
      last = std::min(last, room / towards);
    }
  }
  return first <= last;
}

double text_width(const std::string& text, double font_size) {
  return kLetterWidth * font_size * static_cast<double>(text.size());
}

std::string cut_to(const std::string& text, double width, double font_size) {
  if (text_width(text, font_size) <= width) return text;
  const double letters = std::floor(width / (kLetterWidth * font_size)) - 3;
  auto kept = static_cast<size_t>(std::max(0.0, letters));
  // Not within a letter of UTF-8.
  while (kept > 0 && (static_cast<unsigned char>(text[kept]) & 0xC0) == 0x80) {
    --kept;
  }
  return text.substr(0, kept) + "...";
}

size_t LabelPlacement::faults(const Box& box) const {
  size_t count = 0;
  for (const Box& other : boxes_) count += overlap(box, other) ? kBoxFault : 0;
  for (const Segment& line : lines_) count += crosses(box, line) ? 1 : 0;
  return count;
}

Box LabelPlacement::place(double x, double y, double width, double height) {
  Box best{x + kDistance, y - height / 2, width, height};
  size_t least = std::numeric_limits<size_t>::max();
  for (int ring = 0; ring < kRings; ++ring) {
    const double off = kDistance + ring * height;
    for (const double left :
         {x + kDistance, x - kDistance - width, x - width / 2}) {
      for (const double top :
           {y - height / 2, y + off, y - off - height, y + ring * height / 2}) {
        const Box box{std::clamp(left, picture_.x, picture_.right() - width),
                      std::clamp(top, picture_.y, picture_.bottom() - height),
                      width, height};
        const size_t count = faults(box);
        if (count >= least) continue;
        least = count;
        best = box;
      }
    }
    if (least == 0) break;
  }
  keep_free(best);
  return best;
}

}  // namespace tessera::npu
