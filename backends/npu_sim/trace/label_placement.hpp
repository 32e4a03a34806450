// SPDX-License-Identifier: Apache-2.0
//
// Where labels of a picture go so that none covers another, a point or a line.

#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace tessera::npu {

// In pixels, y downwards.
struct Box {
  double x = 0;
  double y = 0;  // its top
  double width = 0;
  double height = 0;

  double right() const { return x + width; }
  double bottom() const { return y + height; }
};

struct Segment {
  double x1 = 0;
  double y1 = 0;
  double x2 = 0;
  double y2 = 0;
};

bool overlap(const Box& a, const Box& b);
bool crosses(const Box& box, const Segment& line);

// What a text of a font without serifs takes at most.
double text_width(const std::string& text, double font_size);
// `text`, or its beginning and "..." where it would be wider.
std::string cut_to(const std::string& text, double width, double font_size);

class LabelPlacement {
 public:
  explicit LabelPlacement(const Box& picture) : picture_(picture) {}

  void keep_free(const Box& box) { boxes_.push_back(box); }
  void keep_free(const Segment& line) { lines_.push_back(line); }

  // A place for a label of the point (x, y), the nearest that is free, and
  // keeps it so; lines give way if all nearby are crossed.
  Box place(double x, double y, double width, double height);

 private:
  // Labels and points that it would cover count more than lines.
  size_t faults(const Box& box) const;

  Box picture_;
  std::vector<Box> boxes_;
  std::vector<Segment> lines_;
};

}  // namespace tessera::npu
