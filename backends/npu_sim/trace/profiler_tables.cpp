// SPDX-License-Identifier: Apache-2.0
//
// One function for each table; columns are named as the vendor names them.

#include <array>
#include <cstdio>

#include "backends/npu_sim/trace/views.hpp"

namespace tessera::npu {
namespace {

struct Column {
  std::string name;
  double value;
};

std::string number(double value) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return text.data();
}

double busy(const Simulation& result, Pipe pipe) {
  return result.busy_cycles.at(static_cast<size_t>(pipe));
}

double microseconds(const Profile& profile, double cycles) {
  return profile.cycles_to_ns(cycles) * 1e-3;
}

void add_pipe(const Profile& profile, const Simulation& result,
              const std::string& name, Pipe pipe,
              std::vector<Column>& columns) {
  columns.push_back(
      {name + "_time(us)", microseconds(profile, busy(result, pipe))});
  columns.push_back(
      {name + "_ratio", result.utilisation.at(static_cast<size_t>(pipe))});
}

std::vector<Column> pipe_columns(const Profile& profile,
                                 const Simulation& result) {
  std::vector<Column> columns = {
      {"aic_time(us)", result.time_ns * 1e-3},
      {"aic_total_cycles", result.cycles * static_cast<double>(result.cores)}};
  add_pipe(profile, result, "aic_cube", Pipe::kCube, columns);
  add_pipe(profile, result, "aic_scalar", Pipe::kScalar, columns);
  add_pipe(profile, result, "aic_mte1", Pipe::kMte1, columns);
  add_pipe(profile, result, "aic_mte2", Pipe::kMte2, columns);
  add_pipe(profile, result, "aic_mte3", Pipe::kMte3, columns);
  if (profile.exit.fixpipe) {
    add_pipe(profile, result, "aic_fixpipe", Pipe::kFixpipe, columns);
  }
  add_pipe(profile, result, "aiv_vec", Pipe::kVector, columns);
  return columns;
}

std::vector<Column> arithmetic_columns(const Profile&,
                                       const Simulation& result) {
  const Counters& counters = result.counters;
  const double macs = counters.macs_f16 + counters.macs_s8 + counters.macs_s4;
  const double ratio = result.utilisation.at(static_cast<size_t>(Pipe::kCube));
  const auto share = [&](double part) {
    return macs > 0 ? ratio * part / macs : 0;
  };
  return {{"aic_cube_ratio", ratio},
          {"aic_cube_fp16_ratio", share(counters.macs_f16)},
          {"aic_cube_int8_ratio", share(counters.macs_s8)},
          {"aic_cube_fops", 2 * macs},
          {"aiv_vec_ratio",
           result.utilisation.at(static_cast<size_t>(Pipe::kVector))},
          {"aiv_vec_fops", counters.vector_elements}};
}

std::vector<Column> memory_columns(const Profile&, const Simulation& result) {
  const Counters& counters = result.counters;
  const double ns = result.time_ns > 0 ? result.time_ns : 1;
  return {{"aiv_gm_to_ub_bw(GB/s)", counters.l2_read_bytes / ns},
          {"aiv_ub_to_gm_bw(GB/s)", counters.l2_write_bytes / ns},
          {"read_main_memory_datas(KB)", counters.dram_read_bytes / 1024},
          {"write_main_memory_datas(KB)", counters.dram_write_bytes / 1024}};
}

std::vector<Column> l0_columns(const Profile&, const Simulation& result) {
  const double ns = result.time_ns > 0 ? result.time_ns : 1;
  return {{"aic_l1_read_bw(GB/s)", result.counters.l1_read_bytes / ns},
          {"aic_l1_write_bw(GB/s)", result.counters.l1_write_bytes / ns},
          {"aic_l0_bw(GB/s)", result.counters.l0_bytes / ns}};
}

std::vector<Column> cache_columns(const Profile&, const Simulation& result) {
  return {{"aic_l2_cache_hit_rate(%)", 100 * result.l2_hit_rate}};
}

std::vector<Column> basic_columns(const Profile&, const Simulation& result) {
  return {{"Block Dim", static_cast<double>(result.cores)},
          {"Task Duration(us)", (result.time_ns + result.launch_ns) * 1e-3}};
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text)
    out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

using Columns = std::vector<Column> (*)(const Profile&, const Simulation&);

std::string table_text(const Profile& profile,
                       const std::vector<Kernel>& kernels, Columns columns) {
  std::string text;
  for (const Kernel& kernel : kernels) {
    const std::vector<Column> cells = columns(profile, kernel.result);
    if (text.empty()) {
      text = "Op Name";
      for (const Column& cell : cells) {
        text += ',';
        text += cell.name;
      }
      text += '\n';
    }
    text += quoted(kernel.label);
    for (const Column& cell : cells) {
      text += ',';
      text += number(cell.value);
    }
    text += '\n';
  }
  return text;
}

}  // namespace

std::vector<Table> profiler_tables(const Profile& profile,
                                   const std::vector<Kernel>& kernels) {
  const std::array<std::pair<const char*, Columns>, 6> files = {{
      {"ArithmeticUtilization.csv", arithmetic_columns},
      {"L2Cache.csv", cache_columns},
      {"Memory.csv", memory_columns},
      {"MemoryL0.csv", l0_columns},
      {"OpBasicInfo.csv", basic_columns},
      {"PipeUtilization.csv", pipe_columns},
  }};
  std::vector<Table> tables;
  tables.reserve(files.size());
  for (const auto& [name, columns] : files) {
    tables.push_back({name, table_text(profile, kernels, columns)});
  }
  return tables;
}

}  // namespace tessera::npu
