// SPDX-License-Identifier: Apache-2.0

#include "framework/base/machine_load.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace tessera {
namespace {

struct Times {
  double all = 0.0;
  double busy = 0.0;
};

// The first line of /proc/stat: user nice system idle iowait irq softirq steal
// guest guest_nice, in ticks; guest time is part of user time.
// Source: Linux, Documentation/filesystems/proc.rst
Times machine_times() {
  std::ifstream file("/proc/stat");
  std::string word;
  file >> word;
  Times times;
  const auto ticks = static_cast<double>(std::max(1L, sysconf(_SC_CLK_TCK)));
  for (int field = 0; field < 8; ++field) {
    double value = 0.0;
    if (!(file >> value)) return {};
    times.all += value / ticks;
    const bool is_idle = field == 3 || field == 4;
    if (!is_idle) times.busy += value / ticks;
  }
  return times;
}

double seconds_of(int who) {
  rusage usage{};
  if (getrusage(who, &usage) != 0) return 0.0;
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) +
           1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double own_times() {
  return seconds_of(RUSAGE_SELF) + seconds_of(RUSAGE_CHILDREN);
}

}  // namespace

MachineLoad::MachineLoad() {
  const Times times = machine_times();
  all_ = times.all;
  busy_ = times.busy;
  own_ = own_times();
}

double MachineLoad::others_share() const {
  const Times times = machine_times();
  const double all = times.all - all_;
  if (times.all == 0.0 || all <= 0.0) return -1.0;
  const double others = times.busy - busy_ - (own_times() - own_);
  return std::clamp(others / all, 0.0, 1.0);
}

}  // namespace tessera
