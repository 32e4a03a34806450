// SPDX-License-Identifier: Apache-2.0
//
// Output of inspect, run, eval and compare.

#include "framework/cli/json/output_shapes.hpp"

namespace tessera::cli {
namespace {

OutputShape inspect_shape() {
  const Field contexts =
      list("contexts", "of one sequence",
           {count("tokens"), count("kv_bytes"), count("total_bytes")});
  return {
      "inspect",
      OutputForm::kObject,
      "",
      {text("model", "its folder or file"), text("architecture"),
       count("parameters", "of the checkpoint"),
       count("bytes", "of the checkpoint"), text("dtype", "of the embedding"),
       count("num_layers"), count("hidden_size"), count("intermediate_size"),
       count("num_q_heads"), count("num_kv_heads"), count("head_dim"),
       count("vocab_size"), count("max_positions"),
       flag("tied_head", "the head is the embedding"),
       list("layers", "the ops that have weights, in execution order",
            {text("name"), text("op"),
             list_of("shape", "of its weight", count("")), text("scheme"),
             count("bytes")}),
       list("estimate", "with `--estimate`",
            {text("scheme"),
             text("refusal", "why the model cannot have it").or_absent(),
             count("weight_bytes").or_absent(),
             number("bits_per_weight").or_absent(), contexts.or_absent()})
           .or_absent()}};
}

const char* const kFinishReasons = "`eos`, `length` or `context`";

Field generations() {
  return list("generations", "one for each prompt",
              {text("prompt"), count("prompt_tokens"),
               list_of("prompt_token_ids", "", count("")), text("text"),
               list_of("token_ids", "", count("")),
               text("finish_reason", kFinishReasons)});
}

OutputShape run_shape() {
  return {
      "run",
      OutputForm::kObject,
      "",
      {text("text", "of the first prompt; only what is new"),
       list_of("token_ids", "of that text, exact", count("")),
       number("prefill_tokens_per_s",
              "all prompts together, on the device's clock"),
       number("decode_tokens_per_s", "likewise"),
       text("clock", "`wall` or `simulated`"),
       count("host_ns_per_step",
             "a decode step outside the plugin, sampling and output included: "
             "the median step"),
       number("host_ns_per_step_mean"),
       text("device"),
       text("plan", "its file; null without one").or_null(),
       count("prefill_simulated_ns",
             "on the clock of simulated devices; part of the rates only if "
             "all are"),
       count("decode_simulated_ns", "likewise"),
       text("scheme"),
       text("finish_reason", kFinishReasons),
       count("prompt_tokens"),
       count("new_tokens"),
       count("decode_steps"),
       count("programs_per_step"),
       count("host_budget_ns",
             "what host_ns_per_step may be: 10,000 and 2,000 for each "
             "program"),
       flag("isolated"),
       object("memory", "",
              {count("weight_bytes"), count("kv_bytes"),
               count("workspace_bytes")}),
       list("switches", "changes of plan",
            {count("step"), text("lost"),
             text("reason", "empty for `--switch-at`"),
             text("device", "those of the new plan")}),
       count("switch_ns",
             "what they took: loading, and running the finished steps again; "
             "part of no rate"),
       generations(),
       list("kernels", "with `--profile`",
            {text("kernel"), text("clock"), count("calls"), count("total_ns"),
             number("share")})
           .or_absent()}};
}

OutputShape eval_shape() {
  return {"eval",
          OutputForm::kObjectOrList,
          "With `--phase both` there are two, prefill first.",
          {number("perplexity").with_interval(),
           number("kl_mean", "nats").with_interval(),
           number("kl_p99", "nats").with_interval(),
           number("top1", "share that agrees with the oracle's f32")
               .with_interval(),
           number("accuracy", "share of next tokens predicted").with_interval(),
           count("tokens"),
           text("phase", "`prefill` or `decode`"),
           text("device"),
           text("scheme"),
           text("plan", "null without a plan file").or_null(),
           text("head_scheme"),
           text("embedding_scheme"),
           text("text", "the file of the texts"),
           count("documents"),
           number("oracle_accuracy", "share"),
           number("accuracy_drop", "points"),
           text("against", "with `--against`, as the next five").or_absent(),
           number("kl_between").or_absent(),
           number("argmax_agreement",
                  "over the decided positions: those where the oracle's margin "
                  "exceeds what two orders of summation differ by")
               .or_absent(),
           number("decided_share").or_absent(),
           number("kl_order_floor").or_absent(),
           flag("agrees").or_absent(),
           list_of("missed_gates", "sentences; empty if every gate held",
                   text(""))}};
}

OutputShape compare_shape() {
  const auto pair = [](const char* name, const char* meaning, Field third) {
    return object(name, meaning,
                  {number("original"), number("quantized"), std::move(third)})
        .or_absent();
  };
  return {
      "compare",
      OutputForm::kObjectOrList,
      "One for each device and candidate: a scheme, or a model of "
      "`--quantized`. The original is the model in the checkpoint's own "
      "precision. Only `reason` comes with a candidate that has no figures.",
      {text("device"), text("scheme"), text("clock", "`wall` or `simulated`"),
       text("reason", "why there are no figures; empty if there are"),
       pair("model_size", "bytes of codes, scales, embedding, norms",
            number("compression_ratio")),
       pair("inference_speed",
            "decoded tokens/s, taken in turns; null on a simulated clock",
            number("speedup"))
           .or_null(),
       pair("accuracy", "share of next tokens predicted",
            number("degradation")),
       number("bits_per_weight", "of the candidate").or_absent(),
       number("perplexity", "of the candidate, as the next four")
           .with_interval()
           .or_absent(),
       number("kl_mean", "nats").with_interval().or_absent(),
       number("kl_p99", "nats").with_interval().or_absent(),
       number("top1", "share").with_interval().or_absent(),
       count("tokens").or_absent(),
       number("prefill_tokens_per_s", "one sequence; null on a simulated clock")
           .or_null()
           .or_absent(),
       number("decode_tokens_per_s", "likewise").or_null().or_absent(),
       count("memory_bytes",
             "what the session held: weights, KV cache, workspace")
           .or_absent()}};
}

}  // namespace

std::vector<OutputShape> model_shapes() {
  return {inspect_shape(), run_shape(), eval_shape(), compare_shape()};
}

}  // namespace tessera::cli
