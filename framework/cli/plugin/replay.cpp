// SPDX-License-Identifier: Apache-2.0
//
// tessera replay: makes recorded calls again, on the library that they were
// recorded with or another build of it.

#include "framework/cli/plugin/replay.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/mapped_file.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/plugin/find_library.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/conformance/kit/running/child.hpp"
#include "framework/host/loading/named_library.hpp"
#include "framework/host/recording/replay.hpp"

namespace tessera::cli {
namespace {

using conformance::KitChild;
using conformance::LineWriter;
using recording::Recording;
using recording::ReplayResult;

// More differences say no more.
constexpr size_t kMaxTold = 20;
// Beside the time that a call may take.
constexpr double kGraceSeconds = 60.0;

struct ReplayCommandOptions {
  std::string file;
  std::string library;
  std::string plugin;  // whose calls
  double limit_seconds = 60.0;
  bool in_process = false;
  bool json = false;
};

// What the replay has told so far, line by line.
struct Replayed {
  ReplayResult result;
  std::vector<std::string> told;  // the first differences
  std::string error;
  std::string now;  // "call 57 (queue_submit)"
  std::string end;  // how the process ended in that call; empty: it did not
  bool done = false;
};

// Of those that have calls: a program loads more plugins than it uses.
Result<uint64_t> choose_plugin(const Recording& recording,
                               const std::string& name) {
  std::set<uint64_t> used;
  for (const recording::Entry& entry : recording.entries) {
    if (entry.kind == recording::EntryKind::kCall) used.insert(entry.plugin);
  }
  if (used.empty()) return Status(TSR_INVALID_ARGUMENT, "it has no calls");
  if (name.empty() && used.size() == 1) return *used.begin();
  std::string names;
  for (const uint64_t plugin : used) {
    const std::string& known = recording.plugins[plugin].name;
    if (known == name) return plugin;
    names += (names.empty() ? "" : ", ") + known;
  }
  return Status(TSR_INVALID_ARGUMENT,
                name.empty()
                    ? "it has calls of " + names + ": choose with --of"
                    : "it has no calls of " + name + ", only of " + names);
}

Result<ReplayResult> replay_with(const Recording& recording, uint64_t plugin,
                                 const ReplayCommandOptions& options,
                                 const LineWriter& write) {
  HostOptions host;
  host.requested_devices = recording.plugins[plugin].requested_devices;
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Plugin> loaded,
                       load_named_library(options.library, host, nullptr));
  recording::ReplayOptions replaying;
  replaying.plugin = plugin;
  replaying.limit_ns = static_cast<uint64_t>(options.limit_seconds * 1e9);
  const auto name = [](uint64_t number, recording::Call call) {
    return fmt::format("call {} ({})", number, recording::call_name(call));
  };
  replaying.begins = [&](uint64_t number, recording::Call call) {
    write("now " + name(number, call));
  };
  replaying.differs = [&](uint64_t number, recording::Call call,
                          const std::string& what) {
    write("differs " + name(number, call) + " " + what);
  };
  return recording::replay(recording, *loaded, replaying);
}

void write_result(const Result<ReplayResult>& result, const LineWriter& write) {
  if (!result.ok()) {
    write("error " + result.status().message());
    return;
  }
  write(fmt::format("done {} {} {}", result->calls, result->compared_bytes,
                    result->survived));
}

void read_line(const std::string& line, Replayed& replayed) {
  const size_t space = line.find(' ');
  if (space == std::string::npos) return;
  const std::string key = line.substr(0, space);
  const std::string value = line.substr(space + 1);
  if (key == "now") replayed.now = value;
  if (key == "error") replayed.error = value;
  if (key == "fault") replayed.end = value;
  if (key == "differs") {
    ++replayed.result.differences;
    if (replayed.told.size() < kMaxTold) replayed.told.push_back(value);
  }
  if (key != "done") return;
  replayed.done = true;
  char* rest = nullptr;
  replayed.result.calls = std::strtoull(value.c_str(), &rest, 10);
  replayed.result.compared_bytes = std::strtoull(rest, &rest, 10);
  replayed.result.survived = *rest == ' ' ? rest + 1 : rest;
}

// In a child, which the library may end.
Result<Replayed> replay_in_child(const Recording& recording, uint64_t plugin,
                                 const ReplayCommandOptions& options) {
  Replayed replayed;
  TSR_ASSIGN_OR_RETURN(
      KitChild child, KitChild::start([&](const LineWriter& write) {
        write_result(replay_with(recording, plugin, options, write), write);
      }));
  while (const auto line =
             child.read_line(options.limit_seconds + kGraceSeconds)) {
    read_line(*line, replayed);
  }
  const std::string end = child.finish();
  if (replayed.done || !replayed.error.empty()) return replayed;
  if (child.is_late()) {
    replayed.end = "hangs";
  } else if (!end.empty()) {
    replayed.end = "ends the process: " + end +
                   (replayed.end.empty() ? "" : ", " + replayed.end);
  }
  return replayed;
}

Result<Replayed> replay_here(const Recording& recording, uint64_t plugin,
                             const ReplayCommandOptions& options) {
  Replayed replayed;
  const LineWriter write = [&](const std::string& line) {
    read_line(line, replayed);
  };
  write_result(replay_with(recording, plugin, options, write), write);
  return replayed;
}

// True if the recording's last call never came back.
bool ended_in_call(const Recording& recording, uint64_t plugin) {
  for (auto entry = recording.entries.rbegin();
       entry != recording.entries.rend(); ++entry) {
    const bool is_call = entry->kind == recording::EntryKind::kCall;
    if (is_call && entry->plugin == plugin) return entry->answer.empty();
  }
  return false;
}

std::string end_text(const Recording& recording) {
  if (recording.is_complete) {
    return recording.end == recording::kLimitReached ? ", up to its limit" : "";
  }
  return ", up to where the program ended";
}

std::string report_text(const ReplayCommandOptions& options,
                        const Recording& recording, uint64_t plugin,
                        const Replayed& replayed) {
  const recording::RecordedPlugin& recorded = recording.plugins[plugin];
  std::string text = fmt::format("{}: calls of {} {}, build {}{}\n",
                                 options.file, recorded.name, recorded.version,
                                 recorded.build_id, end_text(recording));
  for (const std::string& what : replayed.told) text += what + "\n";
  if (replayed.result.differences > replayed.told.size()) {
    text += fmt::format("and {} more\n",
                        replayed.result.differences - replayed.told.size());
  }
  if (!replayed.end.empty()) {
    text += fmt::format("{} {}{}\n", replayed.now, replayed.end,
                        ended_in_call(recording, plugin)
                            ? "; so did the recorded program end"
                            : "");
    return text;
  }
  if (!replayed.result.survived.empty()) {
    text += replayed.result.survived + "; the recorded program ended in it\n";
  }
  return text +
         fmt::format(
             "{} calls, {} bytes compared: {}\n", replayed.result.calls,
             replayed.result.compared_bytes,
             replayed.result.differences == 0
                 ? "no difference"
                 : fmt::format("{} differences", replayed.result.differences));
}

Json report_json(const ReplayCommandOptions& options,
                 const Recording& recording, uint64_t plugin,
                 const Replayed& replayed) {
  Json json;
  json["file"] = options.file;
  json["library"] = options.library;
  json["plugin"] = recording.plugins[plugin].name;
  json["build_id"] = recording.plugins[plugin].build_id;
  json["complete"] = recording.is_complete;
  json["calls"] = replayed.result.calls;
  json["compared_bytes"] = replayed.result.compared_bytes;
  json["differences"] = replayed.result.differences;
  json["first_differences"] = replayed.told;
  json["ended_in"] = replayed.end.empty() ? "" : replayed.now;
  json["end"] = replayed.end;
  json["survived"] = replayed.result.survived;
  return json;
}

Status run_replay(ReplayCommandOptions options) {
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(options.file));
  Result<Recording> recording = recording::read_recording(file.bytes());
  if (!recording.ok()) {
    return Status(recording.status()).annotate(options.file);
  }
  TSR_ASSIGN_OR_RETURN(
      const uint64_t plugin,
      choose_plugin(*recording, options.plugin).annotate(options.file));
  const std::string wanted = options.library.empty()
                                 ? recording->plugins[plugin].name
                                 : options.library;
  TSR_ASSIGN_OR_RETURN(options.library, find_library(wanted));
  TSR_ASSIGN_OR_RETURN(const Replayed replayed,
                       options.in_process
                           ? replay_here(*recording, plugin, options)
                           : replay_in_child(*recording, plugin, options));
  if (!replayed.error.empty()) {
    return {TSR_FAILED_PRECONDITION, options.file + ": " + replayed.error};
  }
  if (options.json) {
    TSR_RETURN_IF_ERROR(print_json(
        "replay", report_json(options, *recording, plugin, replayed)));
  } else {
    write_out(report_text(options, *recording, plugin, replayed));
  }
  if (replayed.result.differences == 0 && replayed.end.empty()) return {};
  return {TSR_FAILED_PRECONDITION,
          options.library + " does not do what was recorded"};
}

}  // namespace

Command add_replay_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "replay", "Make recorded calls of a plugin again, and compare");
  auto options = std::make_shared<ReplayCommandOptions>();
  app->add_option("FILE", options->file,
                  "Recording, made with TESSERA_RECORD=FILE")
      ->required()
      ->check(CLI::ExistingFile);
  app->add_option("--plugin", options->library,
                  "Name of a plugin, or path of its library; otherwise the "
                  "recorded name")
      ->type_name("PLUGIN");
  app->add_option("--of", options->plugin,
                  "Whose calls, if several plugins were recorded")
      ->type_name("NAME");
  app->add_option("--limit", options->limit_seconds,
                  "Seconds after which a call hangs")
      ->check(positive_validator())
      ->capture_default_str();
  app->add_flag("--in-process", options->in_process,
                "Replay in this process, for a debugger");
  add_json_option(*app, options->json);
  app->footer(
      "Example:\n  TESSERA_RECORD=bug.calls tessera run --device opencl\n  "
      "tessera replay bug.calls --plugin ./build/tsr_plugin_opencl.so");
  return {app, [options] { return run_replay(*options); }};
}

}  // namespace tessera::cli
