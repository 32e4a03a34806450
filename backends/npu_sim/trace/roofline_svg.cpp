// SPDX-License-Identifier: Apache-2.0
//
// Two pictures in one file, drawn without a library.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "backends/npu_sim/trace/label_placement.hpp"
#include "backends/npu_sim/trace/views.hpp"

namespace tessera::npu {
namespace {

constexpr double kWidth = 900;
constexpr double kPlotHeight = 360;
constexpr double kLeft = 70;
constexpr double kRight = kWidth - 150;  // names of roofs lie beyond
constexpr double kTop = 56;
constexpr double kBottom = kTop + kPlotHeight;
constexpr double kFont = 11;
constexpr double kTitleFont = 14;
constexpr double kLine = 14;  // from one line of text to the next
constexpr double kPointRadius = 4;
constexpr double kRowHeight = 22;
constexpr double kBarsLeft = 310;
constexpr double kBarWidth = 74;
constexpr std::array<Pipe, 7> kShown = {
    Pipe::kCube, Pipe::kVector, Pipe::kMte1,   Pipe::kMte2,
    Pipe::kMte3, Pipe::kScalar, Pipe::kFixpipe};

template <typename... Values>
std::string text_of(const char* format, Values... values) {
  std::array<char, 512> text{};
  std::snprintf(text.data(), text.size(), format, values...);
  return text.data();
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out += c;
    }
  }
  return out;
}

struct Point {
  double intensity = 0;
  double tops = 0;

  bool is_shown() const { return intensity > 0 && tops > 0; }
};

Point point_of(const Kernel& kernel) {
  const double bytes = canonical_bytes_of(kernel.problem);
  if (kernel.result.operations <= 0 || bytes <= 0) return {};
  return {
      kernel.result.operations / bytes,
      kernel.result.operations / std::max(kernel.result.time_ns, 1.0) * 1e-3};
}

// Logarithmic axes of whole decades on the left, right and below: operations
// per byte 0.1 to 10,000 and TOPS four decades below the highest peak, or as
// far as points lie.
struct Axes {
  double left = -1;
  double right = 4;
  double low = 0;
  double top = 0;  // of the highest peak, no whole decade

  double x(double intensity) const {
    const double at = (std::log10(intensity) - left) / (right - left);
    return kLeft + std::clamp(at, 0.0, 1.0) * (kRight - kLeft);
  }
  double y(double tops) const {
    const double at = (std::log10(tops) - low) / (top - low);
    return kBottom - std::clamp(at, 0.0, 1.0) * kPlotHeight;
  }
};

Axes axes_of(double peak, const std::vector<Kernel>& kernels) {
  Axes axes;
  axes.top = std::log10(peak);
  axes.low = std::floor(axes.top) - 3;
  for (const Kernel& kernel : kernels) {
    const Point point = point_of(kernel);
    if (!point.is_shown()) continue;
    const double at = std::log10(point.intensity);
    axes.left = std::min(axes.left, std::floor(at));
    axes.right = std::max(axes.right, std::ceil(at));
    axes.low = std::min(axes.low, std::floor(std::log10(point.tops)));
  }
  return axes;
}

std::string text_at(double x, double y, const char* anchor,
                    const std::string& text) {
  return text_of("<text x='%.1f' y='%.1f' text-anchor='%s'>", x, y, anchor) +
         escaped(text) + "</text>\n";
}

// White around it, so that no line runs through its letters.
std::string label_in(const Box& box, const std::string& text) {
  return text_of(
             "<text class='label' x='%.1f' y='%.1f' stroke='white' "
             "stroke-width='3' paint-order='stroke'>",
             box.x, box.y + kFont) +
         escaped(text) + "</text>\n";
}

std::string grid(const Axes& axes) {
  std::string out;
  for (double at = axes.left; at <= axes.right; ++at) {
    const double x = axes.x(std::pow(10, at));
    out += text_of(
        "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#ddd'/>\n", x,
        kTop, x, kBottom);
    out +=
        text_at(x, kBottom + kLine, "middle", text_of("%g", std::pow(10, at)));
  }
  for (double at = axes.low; at <= axes.top; ++at) {
    const double y = axes.y(std::pow(10, at));
    out += text_of(
        "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#ddd'/>\n",
        kLeft, y, kRight, y);
    out += text_at(kLeft - 6, y + 4, "end", text_of("%g", std::pow(10, at)));
  }
  out += text_at(kLeft, kTop - 8, "middle", "TOPS");
  return out + text_at((kLeft + kRight) / 2, kBottom + 2 * kLine + 2, "middle",
                       "operations per byte that DRAM must move; L2 lifts "
                       "points above the slope");
}

struct Peak {
  std::string name;
  double tops = 0;
};

// The slope, where it enters the picture, and one roof for each peak, the
// lowest first.
class Roofs {
 public:
  Roofs(const Axes& axes, double gbps, std::vector<Peak> peaks)
      : axes_(axes), gbps_(gbps), peaks_(std::move(peaks)) {}

  std::string lines(LabelPlacement& placement) const {
    std::string out;
    for (const Peak& peak : peaks_) {
      const double ridge = peak.tops * 1e3 / gbps_;
      const double begin = std::max(std::pow(10, axes_.left),
                                    std::pow(10, axes_.low) * 1e3 / gbps_);
      const Segment slope{axes_.x(begin), axes_.y(begin * gbps_ * 1e-3),
                          axes_.x(ridge), axes_.y(peak.tops)};
      const Segment roof{slope.x2, slope.y2, kRight, slope.y2};
      placement.keep_free(slope);
      placement.keep_free(roof);
      out += text_of(
          "<polyline fill='none' stroke='#456' points='%.1f,%.1f "
          "%.1f,%.1f %.1f,%.1f'/>\n",
          slope.x1, slope.y1, roof.x1, roof.y1, roof.x2, roof.y2);
    }
    return out;
  }

  std::string labels(LabelPlacement& placement) const {
    std::string out;
    double below = kTop - kLine;
    for (auto peak = peaks_.rbegin(); peak != peaks_.rend(); ++peak) {
      below = std::max(below + kLine, axes_.y(peak->tops));
      out += text_at(
          kRight + 6, below + 4, "start",
          text_of("%s cube, %.1f TOPS", peak->name.c_str(), peak->tops));
    }
    const std::string text = text_of("DRAM, %.0f GB/s", gbps_);
    const double middle =
        std::sqrt(std::pow(10, axes_.left) * peaks_.front().tops * 1e3 / gbps_);
    return out + label_in(placement.place(axes_.x(middle),
                                          axes_.y(middle * gbps_ * 1e-3),
                                          text_width(text, kFont), kLine),
                          text);
  }

 private:
  const Axes& axes_;
  double gbps_;
  std::vector<Peak> peaks_;
};

std::string points(const Axes& axes, const std::vector<Kernel>& kernels,
                   LabelPlacement& placement) {
  std::string dots;
  for (const Kernel& kernel : kernels) {
    const Point point = point_of(kernel);
    if (!point.is_shown()) continue;
    const double x = axes.x(point.intensity);
    const double y = axes.y(point.tops);
    placement.keep_free(Box{x - kPointRadius, y - kPointRadius,
                            2 * kPointRadius, 2 * kPointRadius});
    dots += text_of("<circle cx='%.1f' cy='%.1f' r='%.0f' fill='#c33'/>\n", x,
                    y, kPointRadius);
  }
  std::string labels;
  for (size_t i = 0; i < kernels.size(); ++i) {
    const Point point = point_of(kernels[i]);
    if (!point.is_shown()) continue;
    const std::string text = text_of("%zu: %.3g TOPS", i + 1, point.tops);
    labels +=
        label_in(placement.place(axes.x(point.intensity), axes.y(point.tops),
                                 text_width(text, kFont), kLine),
                 text);
  }
  return dots + labels;
}

bool is_on(const Profile& profile, Pipe pipe) {
  return pipe != Pipe::kFixpipe || profile.exit.fixpipe;
}

std::string bar(Pipe pipe, double share, double x, double y) {
  const double width = kBarWidth - 6;
  std::string out = text_of(
      "<rect x='%.1f' y='%.1f' width='%.1f' height='14' fill='#dde'/>"
      "<rect x='%.1f' y='%.1f' width='%.1f' height='14' fill='#9bd'>"
      "<title>%s %.1f %%</title></rect>",
      x, y, width, x, y, share * width, name_of(pipe), 100 * share);
  return out + text_at(x + width - 4, y + kFont, "end",
                       text_of("%.*f %%", share < 0.1 ? 1 : 0, 100 * share));
}

std::string bars(const Profile& profile, const std::vector<Kernel>& kernels,
                 double top) {
  std::string out =
      text_at(4, top - 8, "start", "Time that pipes are busy, mean of cores");
  double x = kBarsLeft;
  for (const Pipe pipe : kShown) {
    if (!is_on(profile, pipe)) continue;
    out += text_at(x, top - 8, "start", name_of(pipe));
    x += kBarWidth;
  }
  for (size_t i = 0; i < kernels.size(); ++i) {
    const double y = top + kRowHeight * static_cast<double>(i);
    const std::string name = text_of("%zu ", i + 1) + kernels[i].label;
    out += "<g><title>" + escaped(name) + "</title>" +
           text_at(4, y + kFont + 2, "start",
                   cut_to(name, kBarsLeft - 10, kFont)) +
           "</g>";
    x = kBarsLeft;
    for (const Pipe pipe : kShown) {
      if (!is_on(profile, pipe)) continue;
      const double share =
          kernels[i].result.utilisation.at(static_cast<size_t>(pipe));
      out += bar(pipe, std::min(1.0, share), x, y + 2);
      x += kBarWidth;
    }
  }
  return out;
}

std::vector<Peak> peaks_of(const Profile& profile,
                           const std::vector<Kernel>& kernels) {
  std::vector<Peak> peaks = {{"f16", profile.cube_tops(profile.cube.macs_f16)},
                             {"s8", profile.cube_tops(profile.cube.macs_s8)}};
  const auto any = [&kernels](double Counters::*macs) {
    return std::any_of(kernels.begin(), kernels.end(), [=](const Kernel& one) {
      return one.result.counters.*macs > 0;
    });
  };
  if (any(&Counters::macs_f8)) {
    peaks.push_back({"f8", profile.cube_tops(profile.cube.macs_f8)});
  }
  if (any(&Counters::macs_s4)) {
    peaks.push_back({"s4", profile.cube_tops(profile.cube.macs_s4)});
  }
  std::stable_sort(
      peaks.begin(), peaks.end(),
      [](const Peak& a, const Peak& b) { return a.tops < b.tops; });
  return peaks;
}

}  // namespace

std::string roofline_svg(const Profile& profile,
                         const std::vector<Kernel>& kernels) {
  const std::vector<Peak> peaks = peaks_of(profile, kernels);
  double highest = 0;
  for (const Peak& peak : peaks) highest = std::max(highest, peak.tops);
  const Axes axes = axes_of(highest, kernels);
  const double gbps = profile.global.dram_gbps * profile.global.dram_efficiency;
  const double bars_at = kBottom + 2 * kLine + 42;
  const double height =
      bars_at + kRowHeight * static_cast<double>(kernels.size()) + 12;
  std::string out = text_of(
      "<svg xmlns='http://www.w3.org/2000/svg' width='%.0f' height='%.0f' "
      "font-family='sans-serif' font-size='%.0f'>\n"
      "<rect width='100%%' height='100%%' fill='white'/>\n",
      kWidth, height, kFont);
  out +=
      text_of("<text x='4' y='18' font-size='%.0f'>", kTitleFont) +
      escaped(cut_to(profile.title + ", simulated", kWidth - 8, kTitleFont)) +
      "</text>\n" + grid(axes);
  LabelPlacement placement(
      {kLeft + 2, kTop - kLine, kRight - kLeft - 2, kPlotHeight + kLine});
  const Roofs roofs(axes, gbps, peaks);
  out += roofs.lines(placement);
  const std::string marks = points(axes, kernels, placement);
  out += roofs.labels(placement) + marks;
  return out + bars(profile, kernels, bars_at) + "</svg>\n";
}

}  // namespace tessera::npu
