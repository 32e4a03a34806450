// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/plan_file/plan_picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string_view>

#include "framework/format/scheme.hpp"

namespace tessera::planner {
namespace {

constexpr int kMargin = 6;
constexpr int kLabelWidth = 170;
constexpr int kColumnWidth = 190;
constexpr int kRowHeight = 22;
constexpr int kSwatch = 14;
constexpr int kMinWidth = 640;   // of a title
constexpr int kLetterWidth = 7;  // at most, in the mean of a word

constexpr const char* kNoPrecision = "#ddd";

std::string escape(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '<') {
      result += "&lt;";
    } else if (c == '&') {
      result += "&amp;";
    } else if (c == '"') {
      result += "&quot;";
    } else {
      result += c;
    }
  }
  return result;
}

// The same in every picture.  Neighbours in the list of schemes are far apart
// on the circle of hues; what a suffix adds changes the lightness.
std::string colour_of(const std::string& scheme) {
  constexpr double kGoldenAngle = 137.508;
  const std::vector<std::string> names = scheme_names();
  size_t index = names.size();
  size_t length = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    if (!scheme.starts_with(names[i]) || names[i].size() <= length) continue;
    index = i;
    length = names[i].size();
  }
  size_t suffix = 0;
  for (const char c : scheme.substr(length)) {
    suffix += static_cast<unsigned char>(c);
  }
  return fmt::format(
      "hsl({:.0f},65%,{}%)",
      std::fmod(static_cast<double>(index) * kGoldenAngle, 360.0),
      64 + 7 * (index % 3) + 3 * (suffix % 4));
}

// Three digits, in milliseconds.
std::string time_text(double ns) {
  const double ms = ns / 1e6;
  const int decimals = ms >= 100.0 ? 0 : ms >= 10.0 ? 1 : ms >= 1.0 ? 2 : 4;
  return fmt::format("{:.{}f}", ms, decimals);
}

struct PhaseTimes {
  std::array<double, 2> ns{};
  std::array<bool, 2> runs{};

  void add(uint32_t phase, double part_ns) {
    ns[phase] += part_ns;
    runs[phase] = true;
  }
  std::string text() const {
    if (!runs[kPrefill] && !runs[kDecode]) return "-";
    const auto one = [this](uint32_t phase) {
      return runs[phase] ? time_text(ns[phase]) : "-";
    };
    return one(kPrefill) + " / " + one(kDecode) + " ms";
  }
};

// What a device runs of a segment.
struct PictureCell {
  PhaseTimes times;
  // Of each linear of the segment; null: not here.
  std::array<std::vector<const PlannedPart*>, 2> stripes;

  bool phases_agree() const {
    if (times.runs[kPrefill] != times.runs[kDecode]) return false;
    for (size_t i = 0; i < stripes[kPrefill].size(); ++i) {
      const PlannedPart* a = stripes[kPrefill][i];
      const PlannedPart* b = stripes[kDecode][i];
      if ((a == nullptr) != (b == nullptr)) return false;
      if (a != nullptr && a->scheme != b->scheme) return false;
    }
    return true;
  }
};

class Picture {
 public:
  Picture(const PlanFile& plan, const std::vector<std::string>& title)
      : title_(title) {
    for (const auto& [name, fingerprint] : plan.device_fingerprints) {
      devices_.push_back(name);
    }
    for (const PlannedLayer& layer : plan.layers) {
      if (layer.op == "segment") {
        segments_.push_back(&layer);
        continue;
      }
      linears_[layer.segment].push_back(&layer);
      for (const auto& parts : layer.phases) {
        for (const PlannedPart& part : parts) schemes_.insert(part.scheme);
      }
    }
    width_ = std::max(kMinWidth,
                      kLabelWidth + kMargin +
                          kColumnWidth * static_cast<int>(devices_.size()));
  }

  std::string draw() {
    for (const std::string& line : title_) add_text(kMargin, row_++, line);
    draw_legend();
    add_text(kMargin, row_++,
             "predicted: prefill of a prompt batch / one decode step; where "
             "they differ, prefill is the upper half");
    const int head = row_++;
    const int sums = row_++;
    std::map<std::string, PhaseTimes> totals;
    for (const PlannedLayer* segment : segments_) {
      draw_segment(*segment, totals);
      ++row_;
    }
    add_text(kMargin, sums, "all");
    for (size_t d = 0; d < devices_.size(); ++d) {
      add_text(column_x(d) + 4, head, devices_[d]);
      add_text(column_x(d) + 4, sums, totals[devices_[d]].text());
    }
    return fmt::format(
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" "
               "height=\"{}\" font-family=\"sans-serif\" font-size=\"11\">\n"
               "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
               width_, row_ * kRowHeight + kMargin) +
           body_ + "</svg>\n";
  }

 private:
  static int column_x(size_t device) {
    return kLabelWidth + kColumnWidth * static_cast<int>(device);
  }

  void add_text(int x, int row, const std::string& text) {
    body_ += fmt::format("<text x=\"{}\" y=\"{}\">{}</text>\n", x,
                         row * kRowHeight + 15, escape(text));
  }

  void add_rect(std::array<double, 4> box, const std::string& fill,
                const std::string& tip) {
    body_ += fmt::format(
        "<rect x=\"{:g}\" y=\"{:g}\" width=\"{:g}\" height=\"{:g}\" "
        "fill=\"{}\"><title>{}</title></rect>\n",
        box[0], box[1], box[2], box[3], fill, escape(tip));
  }

  // As many rows as it takes.
  void draw_legend() {
    int x = kMargin;
    const auto draw = [&](const std::string& name, const std::string& colour) {
      const int width =
          kSwatch + 16 + kLetterWidth * static_cast<int>(name.size());
      if (x > kMargin && x + width > width_) {
        x = kMargin;
        ++row_;
      }
      add_rect({double(x), row_ * double{kRowHeight} + 4, kSwatch, kSwatch},
               colour, name);
      add_text(x + kSwatch + 4, row_, name);
      x += width;
    };
    for (const std::string& scheme : schemes_) draw(scheme, colour_of(scheme));
    draw("no linears", kNoPrecision);
    ++row_;
  }

  void draw_segment(const PlannedLayer& segment,
                    std::map<std::string, PhaseTimes>& totals) {
    add_text(kMargin, row_, segment.name);
    const std::vector<const PlannedLayer*>& linears = linears_[segment.name];
    std::map<std::string, PictureCell> cells;
    const auto add_part = [&](uint32_t phase, const PlannedPart& part) {
      PictureCell& cell = cells[part.device];
      cell.times.add(phase, part.predicted_ns);
      totals[part.device].add(phase, part.predicted_ns);
      for (auto& stripes : cell.stripes) stripes.resize(linears.size());
      return &cell;
    };
    for (const uint32_t phase : {kPrefill, kDecode}) {
      add_part(phase, segment.phases[phase].front());
      for (size_t i = 0; i < linears.size(); ++i) {
        for (const PlannedPart& part : linears[i]->phases[phase]) {
          add_part(phase, part)->stripes[phase][i] = &part;
        }
      }
    }
    for (size_t d = 0; d < devices_.size(); ++d) {
      const auto cell = cells.find(devices_[d]);
      if (cell != cells.end()) draw_cell(cell->second, linears, column_x(d));
    }
  }

  void draw_cell(const PictureCell& cell,
                 const std::vector<const PlannedLayer*>& linears, int x) {
    const bool agree = cell.phases_agree();
    const double height = agree ? kRowHeight - 4 : (kRowHeight - 4) / 2.0;
    const double whole = kColumnWidth - 8;
    for (const uint32_t phase : {kPrefill, kDecode}) {
      if (!cell.times.runs[phase] || (agree && phase == kDecode)) continue;
      const double y = row_ * kRowHeight + 2 + phase * height;
      if (linears.empty()) {
        add_rect({double(x), y, whole, height}, kNoPrecision, "no linears");
      }
      const double width = whole / static_cast<double>(linears.size());
      for (size_t i = 0; i < linears.size(); ++i) {
        const PlannedPart* part = cell.stripes[phase][i];
        if (part == nullptr) continue;
        add_rect({x + static_cast<double>(i) * width, y, width, height},
                 colour_of(part->scheme),
                 linears[i]->name + " " + part->scheme);
      }
    }
    add_text(x + 4, row_, cell.times.text());
  }

  const std::vector<std::string>& title_;
  std::vector<std::string> devices_;
  std::vector<const PlannedLayer*> segments_;
  std::map<std::string, std::vector<const PlannedLayer*>> linears_;
  std::set<std::string> schemes_;
  int width_ = 0;
  int row_ = 0;
  std::string body_;
};

}  // namespace

std::string draw_plan(const PlanFile& plan,
                      const std::vector<std::string>& title) {
  return Picture(plan, title).draw();
}

}  // namespace tessera::planner
