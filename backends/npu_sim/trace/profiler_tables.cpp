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

double microseconds(const Profile& profile, double cycles) {
  return profile.cycles_to_ns(cycles) * 1e-3;
}

// Pipes of one kind of core.
class PipeColumns {
 public:
  PipeColumns(const Profile& profile, const Simulation& result,
              const std::string& core, int64_t cores)
      : profile_(profile), result_(result), core_(core), works_(cores > 0) {
    const double cycles = works_ ? result.cycles : 0;
    add("_time(us)", microseconds(profile, cycles));
    add("_total_cycles", cycles * static_cast<double>(cores));
  }

  void add(const char* name, Pipe pipe) {
    const auto index = static_cast<size_t>(pipe);
    add_use(name,
            {result_.busy_cycles.at(index), result_.utilisation.at(index)});
  }
  void add_use(const std::string& name, const PipeUse& use) {
    add("_" + name + "_time(us)",
        works_ ? microseconds(profile_, use.busy_cycles) : 0);
    add("_" + name + "_ratio", works_ ? use.utilisation : 0);
  }
  void move_to(std::vector<Column>& columns) {
    columns.insert(columns.end(), columns_.begin(), columns_.end());
  }

 private:
  void add(const std::string& name, double value) {
    columns_.push_back({core_ + name, value});
  }

  const Profile& profile_;
  const Simulation& result_;
  std::string core_;
  bool works_;
  std::vector<Column> columns_;
};

int64_t cube_cores(const Simulation& result) {
  return result.cores - result.vector_cores;
}

// Cores with a cube are the profiler's aic, vector cores of their own its aiv;
// a core that has both reports its vector pipe as the latter.
std::vector<Column> pipe_columns(const Profile& profile,
                                 const Simulation& result) {
  const bool is_unified = profile.unified_cores;
  const int64_t cubes = cube_cores(result);
  PipeColumns aic(profile, result, "aic", is_unified ? result.cores : cubes);
  aic.add("cube", Pipe::kCube);
  aic.add("scalar", Pipe::kScalar);
  aic.add("mte1", Pipe::kMte1);
  aic.add("mte2", Pipe::kMte2);
  if (is_unified) aic.add("mte3", Pipe::kMte3);
  if (profile.exit.fixpipe) aic.add("fixpipe", Pipe::kFixpipe);
  PipeColumns aiv(profile, result, "aiv",
                  is_unified ? result.cores : result.vector_cores);
  aiv.add("vec", Pipe::kVector);
  if (!is_unified) {
    if (cubes > 0) {
      aiv.add_use("scalar", result.vector_scalar);
      aiv.add_use("mte2", result.vector_mte2);
    } else {
      aiv.add("scalar", Pipe::kScalar);
      aiv.add("mte2", Pipe::kMte2);
    }
    aiv.add("mte3", Pipe::kMte3);
  }
  std::vector<Column> columns;
  aic.move_to(columns);
  aiv.move_to(columns);
  return columns;
}

std::vector<Column> arithmetic_columns(const Profile&,
                                       const Simulation& result) {
  const Counters& counters = result.counters;
  const double macs = counters.macs_f16 + counters.macs_f8 + counters.macs_s8 +
                      counters.macs_s4;
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
  return {{"aic_gm_to_l1_bw(GB/s)",
           (counters.l2_read_bytes - counters.gm_to_ub_bytes) / ns},
          {"aiv_gm_to_ub_bw(GB/s)", counters.gm_to_ub_bytes / ns},
          {"aiv_ub_to_gm_bw(GB/s)", counters.ub_to_gm_bytes / ns},
          {"read_main_memory_datas(KB)", counters.dram_read_bytes / 1024},
          {"write_main_memory_datas(KB)", counters.dram_write_bytes / 1024}};
}

std::vector<Column> ub_columns(const Profile&, const Simulation& result) {
  const Counters& counters = result.counters;
  const double ns = result.time_ns > 0 ? result.time_ns : 1;
  return {{"aiv_ub_read_bw_vector(GB/s)", counters.vector_read_bytes / ns},
          {"aiv_ub_write_bw_vector(GB/s)", counters.vector_write_bytes / ns},
          {"aiv_ub_read_bw_gm(GB/s)", counters.ub_to_gm_bytes / ns},
          {"aiv_ub_write_bw_gm(GB/s)", counters.gm_to_ub_bytes / ns}};
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
  // A block is a cube core with its vector cores, or a vector core alone.
  const int64_t cubes = cube_cores(result);
  return {{"Block Dim", static_cast<double>(cubes > 0 ? cubes : result.cores)},
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
  const std::array<std::pair<const char*, Columns>, 7> files = {{
      {"ArithmeticUtilization.csv", arithmetic_columns},
      {"L2Cache.csv", cache_columns},
      {"Memory.csv", memory_columns},
      {"MemoryL0.csv", l0_columns},
      {"MemoryUB.csv", ub_columns},
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
