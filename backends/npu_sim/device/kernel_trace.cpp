// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/device/kernel_trace.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

namespace tessera::npu {

bool write_kernel_trace(const std::string& path, const std::string& device,
                        const std::vector<tsr_kernel_record>& records) {
  using Json = nlohmann::ordered_json;
  Json events = Json::array();
  events.push_back({{"name", "process_name"},
                    {"ph", "M"},
                    {"pid", 0},
                    {"args", {{"name", device + " (simulated)"}}}});
  for (const tsr_kernel_record& record : records) {
    Json args = {{"energy_nj", record.energy_nj}};
    for (size_t i = 0; i < 4; ++i) {
      if (record.counter_name[i][0] == '\0') continue;
      args[record.counter_name[i]] = record.counter[i];
    }
    events.push_back(
        {{"name", record.kernel},
         {"ph", "X"},
         {"pid", 0},
         {"tid", 0},
         {"ts", static_cast<double>(record.begin_ns) / 1e3},
         {"dur", static_cast<double>(record.end_ns - record.begin_ns) / 1e3},
         {"args", std::move(args)}});
  }
  std::ofstream file(path);
  file << Json{{"traceEvents", std::move(events)}, {"displayTimeUnit", "ns"}};
  return file.good();
}

}  // namespace tessera::npu
