// SPDX-License-Identifier: Apache-2.0
//
// Written by hand: a trace has millions of events of one shape.

#include <array>
#include <cstdio>
#include <set>

#include "backends/npu_sim/trace/views.hpp"

namespace tessera::npu {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else {
      out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

template <typename... Values>
void append(std::string& out, const char* format, Values... values) {
  std::array<char, 256> text{};
  std::snprintf(text.data(), text.size(), format, values...);
  out += text.data();
}

void append_names(const std::vector<Kernel>& kernels, std::string& out) {
  std::set<std::pair<int, int>> threads;
  std::set<int> cores;
  for (const Kernel& kernel : kernels) {
    for (const TraceEvent& event : kernel.result.trace) {
      threads.insert({event.core, static_cast<int>(event.pipe)});
      cores.insert(event.core);
    }
  }
  for (const int core : cores) {
    append(out,
           "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"args\":{"
           "\"name\":\"core %d\"}},\n",
           core, core);
  }
  for (const auto& [core, pipe] : threads) {
    append(out,
           "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%d,\"tid\":%d,"
           "\"args\":{\"name\":\"%s\"}},\n",
           core, pipe, name_of(static_cast<Pipe>(pipe)));
  }
}

}  // namespace

std::string chrome_trace(const Profile& profile,
                         const std::vector<Kernel>& kernels) {
  std::string out =
      "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"clock\":\"simulated\","
      "\"profile\":\"" +
      escaped(profile.name) + "\"},\"traceEvents\":[\n";
  append_names(kernels, out);
  double start_us = 0;
  long long left_out = 0;
  for (const Kernel& kernel : kernels) {
    left_out += kernel.result.trace_events_left_out;
    const std::string label = escaped(kernel.label);
    for (const TraceEvent& event : kernel.result.trace) {
      const double begin =
          start_us + profile.cycles_to_ns(event.begin_cycle) * 1e-3;
      const double length =
          profile.cycles_to_ns(event.end_cycle - event.begin_cycle) * 1e-3;
      append(out,
             "{\"ph\":\"X\",\"name\":\"%s\",\"pid\":%d,\"tid\":%d,\"ts\":%.4f,"
             "\"dur\":%.4f,\"cat\":\"",
             event.name, event.core, static_cast<int>(event.pipe), begin,
             length);
      out += label + "\"},\n";
    }
    start_us += (kernel.result.time_ns + kernel.result.launch_ns) * 1e-3;
  }
  append(out,
         "{\"ph\":\"M\",\"name\":\"trace_end_us\",\"pid\":0,\"args\":{\"us\":"
         "%.3f,\"events_left_out\":%lld}}\n]}\n",
         start_us, left_out);
  return out;
}

}  // namespace tessera::npu
