// SPDX-License-Identifier: Apache-2.0
//
// One run of a benchmark: what was asked where, and every sample.

#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace tessera::bench {

using Json = nlohmann::ordered_json;

// A device that took part, as far as its times depend on it.
struct RunDevice {
  std::string name;
  std::string description;
  std::string driver;
  std::string fingerprint;  // of device, driver and plugin
  std::string plugin;
  std::string plugin_version;
  std::string plugin_sha256;  // of the library
};

// What `bench list` shows of a run.
struct RunHead {
  int64_t id = 0;         // in its file, from 1; 0: not in a file
  std::string uuid;       // the same in every file
  std::string kind;       // "ops" or "model"
  int64_t began_s = 0;    // seconds since 1970, UTC
  std::string command;    // as it was typed
  std::string version;    // of tessera
  std::string commit;     // that it was built from
  std::string machine;    // fingerprint
  std::string processor;  // of the machine
  uint64_t num_rows = 0;
};

// NOLINTNEXTLINE(bugprone-exception-escape): moving JSON does not throw
struct RunRecord {
  RunHead head;
  Json machine;   // the facts behind the fingerprint, and the system on it
  Json settings;  // what the options said
  std::vector<RunDevice> devices;
  Json rows;  // as `bench ops` or `bench model` print them, with samples
};

// 32 random hex digits.
std::string make_uuid();

// The raw samples of a row, by what they are times of: "op", or "prefill" and
// "decode".  Empty for a row without figures.
using Samples = std::pair<std::string, std::vector<double>>;
std::vector<Samples> samples_of(const Json& row);

// Takes the samples out of a row, and puts them back.
std::vector<Samples> take_samples(Json& row);
void put_samples(const std::vector<Samples>& samples, Json& row);

// What a row measured, without how often: rows of two runs with the same name
// can be compared.
std::string case_name(const Json& row);

}  // namespace tessera::bench
