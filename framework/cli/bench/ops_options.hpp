// SPDX-License-Identifier: Apache-2.0
//
// What `tessera bench ops` is asked, as questions.

#pragma once

#include <CLI/App.hpp>
#include <map>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/bench/measure/measure.hpp"
#include "framework/bench/op_question.hpp"
#include "framework/cli/bench/history/kept_run.hpp"

namespace tessera::cli {

struct OpsOptions {
  std::vector<std::string> devices;  // empty: all that are no simulation
  std::vector<std::string> ops = {"linear"};
  std::vector<std::string> schemes = {"w16a16"};
  std::vector<std::string> presets;
  std::vector<std::string> shapes;
  // Sweeps, in place of shapes.
  std::vector<int64_t> m;
  std::vector<int64_t> n;
  std::vector<int64_t> k;
  std::vector<int64_t> q_lens = {1};
  std::vector<int64_t> kv_lens;
  std::vector<std::string> kv;
  std::string tile;
  bench::OpQuestion question;
  std::map<std::string, std::string> files;
  bool cold = false;
  bool hot = false;
  uint64_t cold_mib = 1536;
  bench::MeasureOptions measure;
  std::vector<std::string> peers;
  std::string peer_python = "python3";
  double batch_ms = 10.0;
  uint32_t threads = 0;
  bool isolate = false;
  HistoryOptions history;
  bool json = false;
};

// What --op small and --op transfers stand for.
const std::vector<std::string>& small_ops();
const std::vector<std::string>& transfers();

void add_ops_options(CLI::App& app, OpsOptions& options);

// One question for each op, shape, scheme and place of the weights.
//
// Errors  INVALID_ARGUMENT, naming the option that is missing or makes no sense
Result<std::vector<bench::OpQuestion>> make_questions(
    const OpsOptions& options);

// What a run is asked besides its questions: how often, how long, on how many
// threads.
Json settings_json(const OpsOptions& options);

// The same without how often and how long: what two runs are compared by.
std::string case_of(const OpsOptions& options,
                    const bench::OpQuestion& question,
                    const std::string& devices);

// The command line that asks `question` of `devices` again.
std::string command_of(const OpsOptions& options,
                       const bench::OpQuestion& question,
                       const std::string& devices);

}  // namespace tessera::cli
