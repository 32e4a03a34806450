// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/measure/energy_meter.hpp"

#include <algorithm>
#include <fstream>
#include <optional>
#include <system_error>

namespace tessera::bench {
namespace {

namespace fs = std::filesystem;

std::optional<uint64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

// "intel-rapl:0", also of AMD's processors; "intel-rapl:0:1" is a part of it,
// and "intel-rapl-mmio:0" counts the same once more.
bool is_package(const fs::path& zone) {
  const std::string name = zone.filename().string();
  if (!name.starts_with("intel-rapl:")) return false;
  if (std::count(name.begin(), name.end(), ':') != 1) return false;
  std::string label;
  std::ifstream(zone / "name") >> label;
  return label.starts_with("package");
}

}  // namespace

EnergyMeter::EnergyMeter(const fs::path& folder) {
  std::error_code code;
  if (!fs::is_directory(folder, code)) {
    reason_ = "no " + folder.string() + " here";
    return;
  }
  reason_ = "no RAPL counter in " + folder.string();
  for (const fs::directory_entry& zone : fs::directory_iterator(folder, code)) {
    if (!is_package(zone.path())) continue;
    Counter counter;
    counter.file = zone.path() / "energy_uj";
    const std::optional<uint64_t> now = number_in(counter.file);
    if (!now) {
      reason_ = counter.file.string() + " may not be read";
      continue;
    }
    counter.last_uj = *now;
    counter.range_uj =
        number_in(zone.path() / "max_energy_range_uj").value_or(0);
    counters_.push_back(std::move(counter));
  }
  if (!counters_.empty()) reason_.clear();
}

uint64_t EnergyMeter::take_nj() {
  uint64_t sum_uj = 0;
  for (Counter& counter : counters_) {
    const std::optional<uint64_t> now = number_in(counter.file);
    if (!now) continue;
    if (*now >= counter.last_uj) {
      sum_uj += *now - counter.last_uj;
    } else if (counter.range_uj >= counter.last_uj) {
      sum_uj += counter.range_uj - counter.last_uj + *now;
    }
    counter.last_uj = *now;
  }
  constexpr uint64_t kNanojoules = 1000;
  return sum_uj * kNanojoules;
}

}  // namespace tessera::bench
