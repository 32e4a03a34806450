// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/run/profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "framework/cli/figures.hpp"
#include "framework/cli/table.hpp"
#include "framework/cli/target_options.hpp"

namespace tessera::cli {

std::vector<KernelTotal> sum_kernels(
    std::span<const tsr_kernel_record> records) {
  std::map<std::pair<uint32_t, std::string>, KernelTotal> sums;
  std::map<uint32_t, uint64_t> clocks;
  for (const tsr_kernel_record& record : records) {
    const std::string kernel(record.kernel,
                             strnlen(record.kernel, sizeof(record.kernel)));
    KernelTotal& sum = sums[{record.clock, kernel}];
    const uint64_t took = record.end_ns - record.begin_ns;
    sum.kernel = kernel;
    sum.clock = record.clock;
    ++sum.calls;
    sum.total_ns += took;
    clocks[record.clock] += took;
  }
  std::vector<KernelTotal> totals;
  for (auto& [key, sum] : sums) {
    const auto all =
        static_cast<double>(std::max<uint64_t>(clocks[sum.clock], 1));
    sum.share = static_cast<double>(sum.total_ns) / all;
    totals.push_back(std::move(sum));
  }
  std::stable_sort(totals.begin(), totals.end(),
                   [](const KernelTotal& a, const KernelTotal& b) {
                     return a.total_ns > b.total_ns;
                   });
  return totals;
}

std::string kernels_text(const std::vector<KernelTotal>& totals) {
  Table table({{"kernel"},
               {"clock"},
               {"calls", Align::kRight},
               {"total", Align::kRight},
               {"per call", Align::kRight},
               {"share", Align::kRight}});
  for (const KernelTotal& total : totals) {
    const auto ns = static_cast<double>(total.total_ns);
    table.add_row({total.kernel, clock_name(total.clock),
                   std::to_string(total.calls), duration_text(ns),
                   duration_text(ns / static_cast<double>(total.calls)),
                   fmt::format("{:.1f} %", 100.0 * total.share)});
  }
  return table.text();
}

Json kernels_json(const std::vector<KernelTotal>& totals) {
  Json list = Json::array();
  for (const KernelTotal& total : totals) {
    list.push_back({{"kernel", total.kernel},
                    {"clock", clock_name(total.clock)},
                    {"calls", total.calls},
                    {"total_ns", total.total_ns},
                    {"share", total.share}});
  }
  return list;
}

uint64_t host_budget_ns(uint32_t num_programs) {
  return 10'000 + uint64_t{2'000} * num_programs;
}

}  // namespace tessera::cli
