// SPDX-License-Identifier: Apache-2.0
//
// Output of bench ops and bench model.

#include <iterator>
#include <utility>

#include "framework/cli/json/output_shapes.hpp"

namespace tessera::cli {
namespace {

void append(std::vector<Field> more, std::vector<Field>& fields) {
  fields.insert(fields.end(), std::make_move_iterator(more.begin()),
                std::make_move_iterator(more.end()));
}

// What was asked.
std::vector<Field> question_fields() {
  return {text("op"),
          text("device"),
          text("scheme", "null where the op has none").or_null(),
          any("M",
              "of products; rows of small ops and copies; of `grouped_linear` "
              "a list")
              .or_absent(),
          count("N", "likewise columns").or_absent(),
          count("K", "of products").or_null().or_absent(),
          count("batch", "of attention, as the next six").or_absent(),
          count("q_len").or_absent(),
          count("kv_len").or_absent(),
          count("heads").or_absent(),
          count("kv_heads").or_absent(),
          count("head_dim").or_absent(),
          text("kv_type").or_absent(),
          text("weights",
               "`cold`: weights, or KV caches, come from memory; `hot`; a "
               "simulated device has neither")
              .or_absent()};
}

// What only a real device's time tells may be absent.
std::vector<Field> time_fields() {
  return {text("reason", "why there are no figures; empty if there are")
              .or_absent(),
          number("median_ns",
                 "of one op, waiting included; a simulated time has no spread")
              .or_null(),
          list_of("ci95_ns", "low and high", number("")).or_null(),
          number("min_ns").or_absent(),
          list_of("samples_ns", "", number("")).or_absent(),
          count("placements",
                "that the samples are of: buffers in other memory each, which "
                "moves small ops by several percent")
              .or_absent(),
          number("wander",
                 "how far the speed wanders, as a share of it: what does not "
                 "average out of the samples, or of the same work on the "
                 "processor before and after all rows; ci95_ns is wider for "
                 "it")
              .or_absent(),
          flag("drifts",
               "the samples' order shows that the machine slowed down or "
               "recovered meanwhile")
              .or_absent(),
          text("clock", "`wall` or `simulated`"),
          number("device_median_ns",
                 "of one op, as the device itself tells; null if it does not")
              .or_null()
              .or_absent(),
          number("device_min_ns", "likewise").or_null().or_absent(),
          number("energy_nj",
                 "of one op, as the device tells; where it does not, of the "
                 "processor that it runs on, from RAPL; null without either")
              .or_null()
              .or_absent()};
}

std::vector<Field> limit_fields() {
  const std::vector<Field> rate = {number("per_ns", "bytes or operations"),
                                   text("how", "it was measured")};
  return {
      number("bytes", "canonical: no padding").or_null(),
      number("ops", "canonical").or_null(),
      number("limit", "time of the roofline").or_null(),
      text("limit_kind", "`memory` or `compute`").or_null(),
      number("achieved_over_limit", "share: limit / median_ns").or_null(),
      object("limits", "measured in the same run",
             {object("memory", "", rate).or_null(),
              object("compute", "", rate).or_null()})
          .or_absent(),
      flag("limit_ok",
           "`achieved_over_limit` is at most 1.02, after up to three probes")
          .or_absent()};
}

std::vector<Field> circumstance_fields() {
  return {flag("correct",
               "the result is what the reference says, within its bound; null: "
               "nothing was computed")
              .or_null(),
          text("kernel", "what ran").or_absent(),
          text("peer",
               "only of other software (`--peers`): its name; `device` has its "
               "version too")
              .or_absent(),
          count("timed_ops", "how often").or_absent(),
          count("rotated_bytes", "over how many bytes").or_absent(),
          number("harness_share", "of the timed time: reading the clock")
              .or_absent(),
          number("others_share", "of the machine: other processes meanwhile")
              .or_null()
              .or_absent(),
          text("command", "measures the row again"),
          text("case", "what two runs are compared by")};
}

Field simulation_field() {
  return object("simulation", "the report of a simulated device",
                {text("profile"),
                 text("clock"),
                 text("kernel"),
                 number("cycles"),
                 number("time_ns"),
                 number("launch_ns"),
                 count("cores"),
                 count("instructions"),
                 number("operations"),
                 number("canonical_bytes"),
                 map_of("pipes", "by name",
                        object("", "",
                               {number("busy_cycles"), number("utilisation")})),
                 map_of("bytes", "moved, by where", number("")),
                 number("l2_hit_rate"),
                 number("cube_utilisation"),
                 number("vendor_utilisation"),
                 object("energy", "joules, an estimate",
                        {number("low"), number("mid"), number("high"),
                         number("static_mid"), text("note")}),
                 object("tiling", "of products",
                        {count("tile_m"), count("tile_n"), count("tile_k"),
                         count("packet_k"), count("split_k"), count("swizzle"),
                         count("wide_n"), flag("double_accumulator")})
                     .or_absent(),
                 number("estimate_ns", "the closed form that `plan` asks"),
                 number("limit_ns"),
                 count("trace_events_left_out"),
                 text("limit_kind"),
                 map_of("files", "that were written, by kind", text(""))
                     .or_absent()})
      .or_absent();
}

OutputShape ops_shape() {
  OutputShape shape{"bench ops",
                    OutputForm::kList,
                    "One for each device, shape and scheme.",
                    {}};
  append(question_fields(), shape.fields);
  append(time_fields(), shape.fields);
  append(limit_fields(), shape.fields);
  append(circumstance_fields(), shape.fields);
  shape.fields.push_back(simulation_field());
  return shape;
}

Field decode_limit_field() {
  return object("decode_limit",
                "null of plans, of devices other than this machine's "
                "processor, and where memory for the reads is lacking",
                {number("bytes",
                        "that a step reads at least: weights of products, and "
                        "the cache that it sees; mean of the steps"),
                 number("per_ns",
                        "bytes that this machine read at best in this run"),
                 text("how", "streams and pages of that read"),
                 number("achieved_per_ns", "bytes over the median step"),
                 number("achieved_over_limit"),
                 number("achieved_over_reads",
                        "the same against the median of reads_per_ns"),
                 list_of("reads_per_ns",
                         "one read beside each repetition, on a shared machine "
                         "often far from the best",
                         number(""))})
      .or_null();
}

std::vector<Field> model_fields() {
  const std::vector<Field> share = {
      text("name"),
      number("prefill_ns", "a fused kernel's time is divided among its ops"),
      number("decode_ns")};
  return {text("device"),
          text("scheme", "null for a plan").or_null(),
          text("plan", "its file; null without one").or_null(),
          count("batch", "sequences at once"),
          count("context", "prompt tokens of each"),
          count("tokens", "decoded after it"),
          text("clock", "`wall` or `simulated`"),
          text("reason", "why there are no figures; empty if there are"),
          number("prefill_tokens_per_s", "of all sequences together; median")
              .with_interval()
              .or_null(),
          number("decode_tokens_per_s", "likewise").with_interval().or_null(),
          number("first_token_ns", "until the first sequence has its logits")
              .with_interval()
              .or_null(),
          object("step_ns", "of decoding steps",
                 {number("p50"), number("p90"), number("p99"), number("max")})
              .or_null(),
          object("memory", "",
                 {count("weight_bytes"), count("kv_bytes"),
                  count("workspace_bytes")})
              .or_null(),
          number("wander",
                 "how far the processor's speed wanders in 1.6 seconds, as a "
                 "share of it; intervals are wider for it")
              .or_absent(),
          object("samples", "by repetition",
                 {list_of("prefill_ns", "", number("")),
                  list_of("decode_ns", "", number(""))})
              .or_absent(),
          decode_limit_field(),
          object("breakdown", "with `--breakdown`",
                 {list("ops", "", share), list("layers", "", share)})
              .or_null(),
          number("others_share", "of the machine: other processes meanwhile")
              .or_null(),
          text("command", "measures the row again"),
          text("case", "what two runs are compared by")};
}

}  // namespace

std::vector<OutputShape> bench_shapes() {
  return {ops_shape(),
          {"bench model", OutputForm::kList,
           "One for each device and scheme, or plan, batch and context.",
           model_fields()}};
}

}  // namespace tessera::cli
