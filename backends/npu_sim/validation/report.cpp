// SPDX-License-Identifier: Apache-2.0
//
// The page that says how far the simulator is from what was measured.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "backends/npu_sim/validation/estimate_sweep.hpp"
#include "backends/npu_sim/validation/validate.hpp"
#include "backends/npu_sim/validation/widening_sweep.hpp"

namespace tessera::npu {
namespace {

std::string number(double value, int digits) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

std::string plain(double value) { return number(value, value >= 100 ? 1 : 3); }

std::string percent(double share) {
  return (share > 0 ? "+" : "") + number(100 * share, 1) + " %";
}

std::string target_of(const ValidationRow& row) {
  if (row.low == row.high) return plain(row.low);
  return plain(row.low) + " to " + plain(row.high);
}

std::vector<std::string> kinds_of(const Validation& validation) {
  std::vector<std::string> kinds;
  for (const ValidationResult& result : validation.results) {
    if (std::find(kinds.begin(), kinds.end(), result.row.kind) == kinds.end()) {
      kinds.push_back(result.row.kind);
    }
  }
  return kinds;
}

std::string table_of(const Validation& validation, const std::string& kind) {
  const bool is_fit = kind == "calibration";
  std::string text = "| row | profile | what | target | simulated | error | ";
  text += is_fit ? "left out | " : "";
  text += "tolerance | |\n|---|---|---|---|---|---|---|---|";
  text += is_fit ? "---|\n" : "\n";
  double worst = 0;
  for (const ValidationResult& result : validation.results) {
    if (result.row.kind != kind) continue;
    worst = std::max(worst, std::abs(result.error));
    text += "| " + result.row.id + " | " + result.row.profile + " | " +
            result.row.what + " | " + target_of(result.row) + " | " +
            plain(result.value) + " | " + percent(result.error) + " | ";
    if (is_fit) text += percent(result.left_out_error) + " | ";
    text += number(100 * result.row.tolerance, 0) + " % | " +
            (result.within() ? "within" : "**outside**") + " |\n";
  }
  text += "\n" + std::to_string(validation.count(kind)) +
          " rows, mean absolute error " +
          number(100 * validation.mape(kind), 1) + " %, worst " +
          number(100 * worst, 1) + " %.\n";
  return text;
}

std::string compression_table() {
  std::string text =
      "| model | ratio 0.5 | 0.65 | 0.8 | published |\n|---|---|---|---|---|\n";
  const Profile profile = load_profile("310p");
  for (const auto& [model, published] :
       {std::pair{"qwen3-8b", 18.0}, std::pair{"qwen3-14b", 10.7}}) {
    text += std::string("| ") + model + " | ";
    for (const double ratio : {0.5, 0.65, 0.8}) {
      Simulator simulator(profile);
      const double step =
          model_step_ns(simulator, {model, Scheme::kW8A8Sc, ratio, 1, 768});
      text += number(1e9 / step, 1) + " | ";
    }
    text += number(published, 1) + " |\n";
  }
  return text;
}

std::string widening_table() {
  std::string text;
  for (const std::string& name : builtin_profiles()) {
    const std::vector<WideningGain> gains = widening_gains(name);
    if (text.empty()) {
      text = "| rows |";
      for (const WideningGain& gain : gains) {
        text += ' ' + std::to_string(gain.rows) + " |";
      }
      text += "\n|---|---|---|---|---|\n";
    }
    text += "| " + name + " |";
    for (const WideningGain& gain : gains) {
      text +=
          ' ' + number(gain.least, 2) + " to " + number(gain.most, 2) + " |";
    }
    text += '\n';
  }
  return text;
}

std::string widening_section() {
  return "\n## Weights of 4 bits against f16\n\nTime of f16 over that of "
         "w4a16, the least and the most of four weights from 1024 x 4096 to "
         "12288 x 4096. Published for the 910B: at best 1.48, never above 1.6; "
         "other chips are bare predictions. The vector cores widen as many "
         "columns as L2 holds, then the cube multiplies by them, and so on; "
         "that the two do not overlap is assumed, for the published gain "
         "leaves no room for it. The one core of 310b4 writes wide values at "
         "22 GB/s and then reads them at 43, where f16 comes from DRAM at 38: "
         "by bytes alone about 0.4 at few rows, so no tiling of this lowering "
         "does better.\n\n" +
         widening_table();
}

std::string assumptions_table() {
  std::string text = "| parameter | 910b1 | 310p | why |\n|---|---|---|---|\n";
  const Profile one = load_profile("910b1");
  const Profile other = load_profile("310p");
  for (size_t i = 0; i < one.parameters.size(); ++i) {
    const Parameter& parameter = one.parameters[i];
    if (parameter.key.rfind("assumptions.", 0) != 0) continue;
    for (const Parameter& same : other.parameters) {
      if (same.key != parameter.key) continue;
      text += "| " + parameter.key + " | " + parameter.value + " | " +
              same.value + " | " + parameter.source + " |\n";
    }
  }
  return text;
}

std::string gaps() {
  return "## Gaps\n\n"
         "* `assumptions.l2_capacity_share` and `assumptions.l2_core_factor` "
         "were "
         "chosen for rows 2a and 2d with rows 3 and 10 in sight, so these two "
         "are "
         "not blind.\n"
         "* Row 13b was redefined during development, so it is no blind check. "
         "It found that products too large for L2 were swept in bands too low, "
         "which cost f16 more than int8.\n"
         "* An int8 KV cache is widened by the vector cores, tile by tile in "
         "decode and once in prefill, at rates of the vector unit that no "
         "measurement of attention confirms.\n"
         "* The estimate takes the works of an attention core as equally long "
         "where cores have twelve or more: if short ones with much output come "
         "last (long MLA prefill), it lies low.\n"
         "* Nothing caps L2 as a whole but the ports of the cores. About 5.2 "
         "TB/s "
         "are documented without what they count; the ports of 24 cube cores, "
         "110 bytes a cycle each at 1.85 GHz, are 4.9, so that figure may be "
         "their sum, which the model has core by core, and is not taken for a "
         "limit that vector cores share. With all 48 of these copying what "
         "lies in L2 the model reads 6.9 TB/s. A cap "
         "(`assumptions.l2_global_bytes_per_cycle: 2811`, settable in a "
         "profile) leaves products as they are, and makes attention over 4096 "
         "queries and keys take 1.7 times as long; no public row tells which "
         "is right.\n"
         "* A write that begins or ends within 32 bytes reads them first: "
         "assumed, for only what unaligned reads lose is documented.\n"
         "* A product is simulated with up to four of the tilings that the "
         "cost model likes best, two more of an unaligned neighbour and their "
         "plain orders, and takes the fastest; the estimate knows only the "
         "first and takes 3 % off for that. All shapes that pad to the "
         "same fractals choose among the same, so one column or one K less "
         "than a multiple gains nothing on chips with cube and vector cores "
         "apart (of 1,000 random pairs 0.7 % at most). On 310P packets of 256 "
         "bytes a row are tried besides those that fill L1. There and on 310B "
         "such a shape may be faster (of 500 random pairs each by 1.4 and 2.3 "
         "% at most): results wait in L2 until reads leave "
         "DRAM time (assumed above), crowd inputs out of these small caches, "
         "and reads slowed by misalignment leave that time. One row less "
         "breaks no alignment; as it changes which core comes first and "
         "brings to L2 what others read, it moves times of some microseconds "
         "by up to 6 %, either way.\n"
         "* On 310P and 310B the vector pipe could hand widened weights to L1 "
         "by itself. By its bytes and the rates of that pipe w4a16 would then "
         "gain 1.7 (310B4) to 4 times (310P, 310B1) at few rows, beyond what "
         "was published for any chip, so weights pass through GM there too.\n"
         "* The int8 rows of the 910C are known as a range, not row by row.\n"
         "* No public timings of single pipes exist for 310P and 310B: rates "
         "other than capacities and decode are assumptions there.\n"
         "* Energy is an estimate from tables; nothing was measured.\n";
}

// Random problems of each kind on every chip; simulated time, so the figures
// never change.
std::string estimate_table() {
  constexpr int kEach = 5;
  std::string text =
      "| problems | count | within 15 % | mean error | worst | |\n"
      "|---|---|---|---|---|---|\n";
  for (int i = 0; i < kNumFamilies; ++i) {
    const EstimateErrors errors =
        estimate_errors(builtin_profiles(), static_cast<Family>(i), kEach);
    text += std::string("| ") + name_of(errors.family) + " | " +
            std::to_string(errors.count) + " | " +
            number(100.0 * static_cast<double>(errors.within) /
                       static_cast<double>(errors.count),
                   0) +
            " % | " + number(100 * errors.mean, 1) + " % | " +
            percent(errors.worst) + " | `" +
            errors.worst_problem.substr(0, 100) + "` |\n";
  }
  return text;
}

}  // namespace

std::string validation_markdown(const Validation& validation) {
  std::string text =
      "# How far the simulated NPU is from measurements\n\n"
      "Written by `tessera npu validate`. One mechanism and one set of "
      "parameters per chip explain all rows; targets, tolerances and sources "
      "are in `backends/npu_sim/validation/rows.yaml`, and rows of a further "
      "file are run the same way. An error is relative to the target, or to "
      "the nearer end of a range.\n\n" +
      std::to_string(validation.fitted_parameters) +
      " parameters were fitted to " +
      std::to_string(validation.count("calibration")) +
      " calibration rows. \"Left out\" is a row's error when the parameters "
      "that it gave fall back to what is documented or neutral.\n";
  for (const std::string& kind : kinds_of(validation)) {
    text += "\n## Rows: " + kind + "\n\n" + table_of(validation, kind);
  }
  text +=
      "\n## Compression of published W8A8SC models\n\nThe ratio is not public "
      "and was not fitted. Tokens/s of a decode step, batch 1, 768 cached "
      "tokens, on `310p`, all launches at their warm cost:\n\n" +
      compression_table() + widening_section() +
      "\n## The estimate against the machine\n\nThe planner asks a formula, "
      "not "
      "the machine. Both are simulated time; random problems on every "
      "shipped profile (`backends/npu_sim/validation/estimate_sweep.cpp`). Its "
      "terms follow the streams: what each pipe, queue, buffer and flag makes "
      "a "
      "tile wait for, and how many cores share DRAM; none is fitted. Their "
      "shape was found on other random problems than these, which come from a "
      "seed of their own. Three numbers are chosen by hand: half of the "
      "results "
      "of a product count as dirty while its tilings are searched, half of "
      "the time of a full tile of attention counts as independent of its "
      "rows, and a product counts as 0.97 of what its best tiling is to take, "
      "for the machine chooses among several.\n\n" +
      estimate_table() +
      "\n## Assumptions\n\nWhat no source says; a profile of one's own may set "
      "each.\n\n" +
      assumptions_table() +
      "\n## What explains the rows\n\n"
      "* A read moves at the core's rate from L2 for the lines that hit, at "
      "the documented 32 bytes a cycle of each core for those that miss; DRAM "
      "is shared by all. Hits follow from the order of tiles and a cache with "
      "random replacement, so the same model gives the tuned product, the "
      "untuned one and those that fit L2. The compiler chooses how many rows "
      "of tiles a sweep takes, by what L2 then keeps.\n"
      "* Only the 910B4 has a derate of int8 (`assumptions.int8_derate`): its "
      "one row is of a stock op, and nothing tells whether the chip or that "
      "kernel is slow.\n"
      "* L2 counts as two halves: what cores of both read lies in both "
      "(`assumptions.l2_capacity_share`).\n"
      "* Writes stay in L2 until DRAM is idle, hence an add moves more than "
      "DRAM could; once three quarters of L2 are dirty, they leave beside what "
      "is read until one quarter is (assumed).\n"
      "* Widened weights pass through GM between two phases, slice by slice "
      "where L2 does not hold all, hence w4a16 gains less than its bytes.\n\n" +
      gaps();
  return text;
}

}  // namespace tessera::npu
