// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/bench/ops_options.hpp"

#include "framework/bench/peers/peers.hpp"
#include "framework/cli/target_options.hpp"

namespace tessera::cli {
namespace {

using bench::OpQuestion;

void add_shape_options(CLI::App& app, OpsOptions& options) {
  app.add_option("--preset", options.presets,
                 "Shapes of a model: qwen3-0.6b, qwen3-1.7b, qwen3-4b, "
                 "qwen3-8b, qwen3-14b, qwen3-32b, llama3.1-8b, llama3.1-70b; "
                 "several with commas")
      ->delimiter(',')
      ->type_name("MODEL");
  app.add_option("--shape", options.shapes,
                 "MxNxK of linear, NxK of grouped_linear, ROWSxCOLUMNS of the "
                 "others; several with commas")
      ->delimiter(',')
      ->type_name("SHAPE");
  const auto add_sweep = [&app](const char* name, std::vector<int64_t>& sizes,
                                const char* help) {
    app.add_option(name, sizes, help)
        ->delimiter(',')
        ->check(count_validator(1))
        ->type_name("SIZE");
  };
  add_sweep("--m", options.m, "Rows of activations: of a sweep, or a preset");
  add_sweep("--n", options.n, "Output features of a sweep");
  add_sweep("--k", options.k, "Input features of a sweep");
  app.add_option("--scheme", options.schemes,
                 "Precision of a product: f32, bf16, w16a16, w8a8, "
                 "w8a8_dynamic, w8a8sc, w8a16, w4a16, w4a8, q4_0, q8_0, ..., "
                 "or all; on simulated devices also int8 (codes given); "
                 "several with commas")
      ->delimiter(',')
      ->type_name("SCHEME")
      ->capture_default_str();
  app.add_option("--type", options.question.type,
                 "Type of small ops and transfers, and on simulated devices of "
                 "a product's result: f16, bf16, f32, s8, s32")
      ->type_name("TYPE");
}

void add_simulated_options(CLI::App& app, OpsOptions& options) {
  const char* const group = "Simulated devices";
  OpQuestion& q = options.question;
  app.add_option("--rows", q.rows, "Rows of each group of grouped_linear")
      ->delimiter(',')
      ->type_name("M")
      ->group(group);
  app.add_option("--tile", options.tile,
                 "Tile of a copy, ROWSxCOLUMNS, or of a product, MxNxK")
      ->type_name("TILE")
      ->group(group);
  app.add_option("--weights", q.weights, "Layout of weights: nd or nz")
      ->check(CLI::IsMember({"nd", "nz"}))
      ->type_name("LAYOUT")
      ->group(group);
  app.add_flag("--transpose-a", q.transpose_a, "The input lies as [K, M]")
      ->group(group);
  app.add_flag("--weight-kn", q.weight_is_kn, "The weight lies as [K, N]")
      ->group(group);
  app.add_option("--compression", q.compression,
                 "w8a8sc: stored bytes over those of int8")
      ->check(share_validator())
      ->type_name("X")
      ->group(group);
  app.add_flag("--bank-conflicts", q.bank_conflicts,
               "The operands of add lie in one bank group")
      ->group(group);
  app.add_option("--target", q.target, "Where a copy goes: ub or l1")
      ->check(CLI::IsMember({"ub", "l1"}))
      ->type_name("MEMORY")
      ->group(group);
  app.add_flag("--nd-to-nz", q.nd_to_nz, "A copy to l1 makes fractals")
      ->group(group);
  app.add_option("--repeats", q.repeats, "Passes of a copy over its data")
      ->check(count_validator(1))
      ->type_name("N")
      ->group(group);
  app.add_option("--cores", q.cores, "Cores to use; left out: all")
      ->check(count_validator(1))
      ->type_name("N")
      ->group(group);
  const auto add_file = [&](const char* name, const char* kind,
                            const char* help, const char* type) {
    app.add_option(name, options.files[kind], help)
        ->type_name(type)
        ->group(group);
  };
  add_file("--trace", "trace",
           "Write a Chrome trace: a process for each core, a thread for each "
           "pipe",
           "FILE");
  add_file("--csv", "csv",
           "Write tables with the columns of the vendor's profiler", "FOLDER");
  add_file("--svg", "svg", "Write a picture: roofline and pipes", "FILE");
  add_file("--listing", "listing", "Write the instructions", "FILE");
}

void add_attention_options(CLI::App& app, OpsOptions& options) {
  OpQuestion& q = options.question;
  const auto add_count = [&app](const char* name, int64_t& value,
                                const char* help) {
    app.add_option(name, value, help)
        ->check(count_validator(1))
        ->type_name("N");
  };
  const auto add_list = [&app](const char* name, std::vector<int64_t>& values,
                               const char* help) {
    app.add_option(name, values, help)
        ->delimiter(',')
        ->check(count_validator(1))
        ->type_name("N");
  };
  add_count("--batch", q.batch, "Sequences of attention");
  add_list("--q-len", options.q_lens,
           "Query tokens of each sequence; 1: decode");
  add_list("--kv-len", options.kv_lens,
           "Cached tokens of each sequence, the query's included");
  add_count("--heads", q.heads, "Query heads");
  add_count("--kv-heads", q.kv_heads, "KV heads; left out: as many");
  add_count("--head-dim", q.head_dim, "Size of a head of Q and K");
  add_count("--v-dim", q.v_dim,
            "Size of a head of V, on simulated devices; left out: the same");
  app.add_flag("--v-in-k", q.v_in_k,
               "V is the first part of K, as in MLA, on simulated devices");
  app.add_option("--kv", options.kv,
                 "KV cache: f32, f16, bf16, int8 or fa3; several with commas")
      ->delimiter(',')
      ->check(CLI::IsMember({"f32", "f16", "bf16", "int8", "fa3"}))
      ->type_name("FORMAT");
}

void add_measure_options(CLI::App& app, OpsOptions& options) {
  app.add_flag("--cold", options.cold,
               "Weights and caches come from memory: as many as fit into no "
               "cache are taken in turn.  The default of up to 32 rows, and of "
               "decoding");
  app.add_flag("--hot", options.hot,
               "The same weight again and again; with --cold both");
  app.add_option("--cold-mib", options.cold_mib,
                 "MiB of weights, or caches, that --cold takes in turn")
      ->check(count_validator(1, 1U << 20))
      ->type_name("MIB")
      ->capture_default_str();
  app.add_option("--repetitions", options.measure.repetitions,
                 "Samples of each op, devices taken in turn; left out: fewer, "
                 "but nine, if they would take longer than 20 s")
      ->check(count_validator(1, 1U << 20))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--batch-ms", options.batch_ms, "Length of a sample, at least")
      ->check(positive_validator())
      ->type_name("MS")
      ->capture_default_str();
}

void add_peer_options(CLI::App& app, OpsOptions& options) {
  std::vector<std::string> names = bench::peer_names();
  names.emplace_back("all");
  app.add_option("--peers", options.peers,
                 "Other software that is timed in turn with the devices, where "
                 "it is installed: onednn, openblas, clblast, torch, "
                 "onnxruntime, openvino or all; several with commas")
      ->delimiter(',')
      ->check(CLI::IsMember(names))
      ->type_name("PEER");
  app.add_option("--peer-python", options.peer_python,
                 "Python that has the packages among the peers")
      ->type_name("PROGRAM")
      ->capture_default_str();
}

}  // namespace

const std::vector<std::string>& small_ops() {
  static const std::vector<std::string> ops = {"rms_norm", "layer_norm", "add",
                                               "silu_mul", "gelu",       "rope",
                                               "softmax",  "embedding"};
  return ops;
}

const std::vector<std::string>& transfers() {
  static const std::vector<std::string> ops = {"copy", "upload", "download"};
  return ops;
}

void add_ops_options(CLI::App& app, OpsOptions& options) {
  app.add_option("--device", options.devices,
                 "Devices, as `tessera devices` names them; a simulated one "
                 "may be a profile's path: npu_sim:my.yaml; left out: all that "
                 "are not simulated")
      ->delimiter(',')
      ->type_name("DEVICE");
  std::vector<std::string> ops = {"linear", "grouped_linear", "attention",
                                  "small",  "transfers",      "all"};
  ops.insert(ops.end(), small_ops().begin(), small_ops().end());
  ops.insert(ops.end(), transfers().begin(), transfers().end());
  app.add_option("--op", options.ops,
                 "linear, attention, rms_norm, layer_norm, add, silu_mul, "
                 "gelu, rope, softmax, embedding, copy, upload, download; "
                 "groups of them: small, transfers, all; on simulated devices "
                 "grouped_linear too, and neither upload nor download; several "
                 "with commas")
      ->delimiter(',')
      ->check(CLI::IsMember(ops))
      ->type_name("OP")
      ->capture_default_str();
  add_shape_options(app, options);
  app.add_option("--group-size", options.question.group_size,
                 "Weights that share a scale")
      ->check(count_validator(1))
      ->type_name("N");
  add_attention_options(app, options);
  add_measure_options(app, options);
  add_peer_options(app, options);
  add_simulated_options(app, options);
  add_threads_option(app, options.threads);
  add_history_options(app, options.history);
  app.add_flag("--isolate", options.isolate, "Run plugins in a child process");
  add_json_option(app, options.json);
}

}  // namespace tessera::cli
