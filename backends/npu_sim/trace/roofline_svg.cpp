// SPDX-License-Identifier: Apache-2.0
//
// Two pictures in one file, drawn without a library.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "backends/npu_sim/trace/views.hpp"

namespace tessera::npu {
namespace {

constexpr double kWidth = 760;
constexpr double kPlotHeight = 360;
constexpr double kLeft = 70;
constexpr double kTop = 40;
constexpr double kRowHeight = 22;
constexpr double kLabelWidth = 130;
constexpr double kBarWidth = 70;
constexpr std::array<Pipe, 6> kShown = {Pipe::kCube, Pipe::kVector,
                                        Pipe::kMte1, Pipe::kMte2,
                                        Pipe::kMte3, Pipe::kFixpipe};

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

// Logarithmic axes: operations per byte 0.1 to 10,000; TOPS four decades below
// the highest peak.
struct Axes {
  double top_tops = 1;

  double x(double intensity) const {
    const double at = (std::log10(std::clamp(intensity, 0.1, 1e4)) + 1) / 5;
    return kLeft + at * (kWidth - kLeft - 30);
  }
  double y(double tops) const {
    const double at =
        (std::log10(std::max(tops, top_tops * 1e-4) / top_tops) + 4) / 4;
    return kTop + (1 - std::min(at, 1.0)) * kPlotHeight;
  }
};

// Decades of both axes.
std::string grid(const Axes& axes) {
  std::string out;
  const double bottom = kTop + kPlotHeight;
  for (const double intensity : {0.1, 1.0, 10.0, 100.0, 1e3, 1e4}) {
    const double x = axes.x(intensity);
    out += text_of(
        "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#ddd'/>"
        "<text x='%.1f' y='%.1f' text-anchor='middle'>%g</text>\n",
        x, kTop, x, bottom, x, bottom + 14, intensity);
  }
  for (double tops = 1e-4; tops <= axes.top_tops; tops *= 10) {
    if (tops < axes.top_tops * 1e-4) continue;
    const double y = axes.y(tops);
    out += text_of(
        "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#ddd'/>"
        "<text x='%.1f' y='%.1f' text-anchor='end'>%g</text>\n",
        kLeft, y, kWidth - 30, y, kLeft - 6, y + 4, tops);
  }
  return out;
}

std::string roof(const Axes& axes, double gbps, double peak, const char* label,
                 double label_at) {
  const double ridge = peak * 1e3 / gbps;
  // Where the slope enters the picture, at its left or its bottom.
  const double begin = std::max(0.1, axes.top_tops * 1e-4 * 1e3 / gbps);
  return text_of(
             "<polyline fill='none' stroke='#456' points='%.1f,%.1f "
             "%.1f,%.1f %.1f,%.1f'/>\n",
             axes.x(begin), axes.y(begin * gbps * 1e-3), axes.x(ridge),
             axes.y(peak), axes.x(1e4), axes.y(peak)) +
         text_of("<text x='%.1f' y='%.1f' text-anchor='end'>%s %.1f</text>\n",
                 kWidth - 34, axes.y(peak) + label_at, label, peak);
}

std::string point(const Axes& axes, const Kernel& kernel, size_t index) {
  const double bytes = canonical_bytes_of(kernel.problem);
  const double tops =
      kernel.result.operations / std::max(kernel.result.time_ns, 1.0) * 1e-3;
  if (kernel.result.operations <= 0 || bytes <= 0) return {};
  const double x = axes.x(kernel.result.operations / bytes);
  // To the right of a point there is no roof, and room but at the edge.
  const bool at_edge = x > kWidth - kLabelWidth;
  return text_of(
      "<circle cx='%.1f' cy='%.1f' r='4' fill='#c33'/>"
      "<text x='%.1f' y='%.1f' text-anchor='%s'>%zu: %.3g TOPS</text>\n",
      x, axes.y(tops), x + (at_edge ? -8 : 8), axes.y(tops) + 4,
      at_edge ? "end" : "start", index + 1, tops);
}

std::string bars(const Profile& profile, const Kernel& kernel, size_t index,
                 double y) {
  std::string out = text_of("<text x='4' y='%.1f'>%zu ", y + 13, index + 1) +
                    escaped(kernel.label.substr(0, 40)) + "</text>\n";
  double x = 300;
  for (const Pipe pipe : kShown) {
    if (pipe == Pipe::kFixpipe && !profile.exit.fixpipe) continue;
    const double share =
        std::min(1.0, kernel.result.utilisation.at(static_cast<size_t>(pipe)));
    out += text_of(
        "<rect x='%.1f' y='%.1f' width='%.1f' height='14' fill='#dde'/>"
        "<rect x='%.1f' y='%.1f' width='%.1f' height='14' fill='#9bd'>"
        "<title>%s %.1f %%</title></rect>"
        "<text x='%.1f' y='%.1f' text-anchor='end'>%.0f %%</text>\n",
        x, y + 2, kBarWidth - 6, x, y + 2, share * (kBarWidth - 6),
        name_of(pipe), 100 * share, x + kBarWidth - 10, y + 13, 100 * share);
    x += kBarWidth;
  }
  return out;
}

std::string bar_heads(const Profile& profile, double y) {
  std::string out;
  double x = 300;
  for (const Pipe pipe : kShown) {
    if (pipe == Pipe::kFixpipe && !profile.exit.fixpipe) continue;
    out += text_of("<text x='%.1f' y='%.1f'>%s</text>\n", x, y, name_of(pipe));
    x += kBarWidth;
  }
  return out;
}

}  // namespace

std::string roofline_svg(const Profile& profile,
                         const std::vector<Kernel>& kernels) {
  const double f16 = profile.cube_tops(profile.cube.macs_f16);
  const double s8 = profile.cube_tops(profile.cube.macs_s8);
  const double gbps = profile.global.dram_gbps * profile.global.dram_efficiency;
  const double s4 = profile.cube_tops(profile.cube.macs_s4);
  const bool has_s4 = std::any_of(
      kernels.begin(), kernels.end(),
      [](const Kernel& kernel) { return kernel.result.counters.macs_s4 > 0; });
  const Axes axes{std::max({f16, s8, has_s4 ? s4 : 0})};
  const double bars_at = kTop + kPlotHeight + 60;
  const double height =
      bars_at + kRowHeight * static_cast<double>(kernels.size()) + 20;
  std::string out = text_of(
      "<svg xmlns='http://www.w3.org/2000/svg' width='%.0f' height='%.0f' "
      "font-family='sans-serif' font-size='11'>\n"
      "<rect width='100%%' height='100%%' fill='white'/>\n",
      kWidth, height);
  out += "<text x='4' y='18' font-size='14'>" + escaped(profile.title) +
         ", simulated</text>\n";
  out += text_of(
      "<text x='%.1f' y='%.1f'>operations per byte; slope: %.0f GB/s</text>\n",
      kLeft, kTop + kPlotHeight + 30, gbps);
  out += text_of("<text x='4' y='%.1f'>TOPS</text>\n", kTop + 10);
  out += grid(axes);
  out += roof(axes, gbps, f16, "f16 cube peak", 13);
  out += roof(axes, gbps, s8, "s8 cube peak", has_s4 ? 13 : -4);
  if (has_s4) out += roof(axes, gbps, s4, "s4 cube peak", -4);
  for (size_t i = 0; i < kernels.size(); ++i) {
    out += point(axes, kernels[i], i);
  }
  out += bar_heads(profile, bars_at - 8);
  for (size_t i = 0; i < kernels.size(); ++i) {
    out += bars(profile, kernels[i], i,
                bars_at + kRowHeight * static_cast<double>(i));
  }
  return out + "</svg>\n";
}

}  // namespace tessera::npu
