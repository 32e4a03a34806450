// SPDX-License-Identifier: Apache-2.0
//
// What every command prints with --json.  Each function's commands stand in
// one file of shapes/.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "framework/cli/json/field.hpp"

namespace tessera::cli {

// In the order of docs/json.md.
const std::vector<OutputShape>& output_shapes();
// Null if `command` is declared to print no JSON.
const OutputShape* find_output_shape(std::string_view command);

// docs/json.md: what holds for all, and a section for each.
std::string json_page();

// devices, plugin ...
std::vector<OutputShape> device_shapes();
// inspect, run, eval, compare
std::vector<OutputShape> model_shapes();
// quantize, tune
std::vector<OutputShape> quantize_shapes();
// plan ...
std::vector<OutputShape> plan_shapes();
// bench ops, bench model
std::vector<OutputShape> bench_shapes();
// bench list, show, diff, export, merge
std::vector<OutputShape> history_shapes();
// conform, new-plugin, npu ..., replay, report, serve
std::vector<OutputShape> kit_shapes();

}  // namespace tessera::cli
