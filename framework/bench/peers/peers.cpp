// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/peers/peers.hpp"

#include <algorithm>
#include <filesystem>
#include <thread>
#include <utility>

#include "framework/bench/op_row.hpp"
#include "framework/bench/peers/python_peer.hpp"
#include "framework/bench/statistics/median_interval.hpp"
#include "framework/host/trust/trust.hpp"

namespace tessera::bench {
namespace {

using Json = nlohmann::json;

// Making a case may compile kernels and fill gigabytes.
constexpr std::chrono::milliseconds kPatience{300'000};

bool is_python(const std::string& name) {
  return name == "torch" || name == "onnxruntime" || name == "openvino";
}

// Starts the program of a peer; what it calls itself, and the process.
Result<std::unique_ptr<PeerProcess>> start(const std::string& name,
                                           const PeerOptions& options) {
  const Status missing(TSR_NOT_FOUND, "not installed");
  std::vector<std::string> words;
  if (is_python(name)) {
    words = {options.python, "-c", python_peer_text(), name};
  } else {
    words = {executable_folder() + "/tessera-peer-" + name};
    std::error_code code;
    if (!std::filesystem::exists(words.front(), code)) return missing;
  }
  auto process = PeerProcess::start(words, options.threads);
  if (!process.ok()) return std::move(process).status();
  if ((*process)->greeting().contains("missing")) return missing;
  return process;
}

Json request_of(const OpQuestion& q, const PeerOptions& options) {
  Json request = {{"op", q.op},
                  {"threads", options.threads},
                  {"cold_bytes", q.cold ? options.cold_bytes : 0}};
  if (q.op == "attention") {
    request["batch"] = q.batch;
    request["q_len"] = q.q_len;
    request["kv_len"] = q.kv_len;
    request["heads"] = q.heads;
    request["kv_heads"] = q.kv_heads == 0 ? q.heads : q.kv_heads;
    request["head_dim"] = q.head_dim;
    request["kv"] = q.kv.empty() ? "f16" : q.kv;
  } else if (q.op == "linear") {
    request["scheme"] = q.scheme;
    request["M"] = q.shape.at(0);
    request["N"] = q.shape.at(1);
    request["K"] = q.shape.at(2);
  }
  return request;
}

}  // namespace

const std::vector<std::string>& peer_names() {
  static const std::vector<std::string> names = {
      "onednn", "openblas", "clblast", "torch", "onnxruntime", "openvino"};
  return names;
}

Peers::Peers(PeerOptions options) : options_(std::move(options)) {
  if (options_.threads == 0) {
    options_.threads = std::max(1U, std::thread::hardware_concurrency());
  }
  for (const std::string& name : options_.names) {
    Peer peer;
    peer.name = peer.title = name;
    auto process = start(name, options_);
    if (process.ok()) {
      peer.process = std::move(*process);
      peer.title = peer.process->greeting().value("name", name);
    } else {
      peer.status = std::move(process).status();
    }
    peers_.push_back(std::move(peer));
  }
}

Result<Json> Peers::ask(Peer& peer, const Json& request) {
  Result<Json> answer = peer.process->ask(request, kPatience);
  if (!answer.ok()) {
    peer.process.reset();
    peer.status = answer.status();
  }
  return answer;
}

void Peers::prepare(const OpQuestion& question) {
  for (Peer& peer : peers_) {
    peer.ns.clear();
    peer.ops = 0;
    if (peer.process == nullptr) continue;
    const Result<Json> answer = ask(peer, request_of(question, options_));
    if (!answer.ok()) continue;
    peer.what = answer->value("ready", "");
    peer.status =
        answer->contains("ready")
            ? Status()
            : Status(TSR_UNIMPLEMENTED, answer->value("refused", "no such op"));
  }
}

void Peers::sample(double batch_ns) {
  for (Peer& peer : peers_) {
    if (peer.process == nullptr || !peer.status.ok()) continue;
    const Result<Json> answer = ask(peer, {{"batch_ns", batch_ns}});
    if (!answer.ok()) continue;
    const double ns = answer->value("ns", 0.0);
    if (!(ns > 0.0)) {
      peer.status =
          Status(TSR_UNAVAILABLE, answer->value("refused", "gives no time"));
      continue;
    }
    peer.ns.push_back(ns);
    peer.ops += answer->value("ops", uint64_t{0});
  }
}

std::vector<nlohmann::ordered_json> Peers::rows(
    const OpQuestion& question, const nlohmann::ordered_json& ours) const {
  std::vector<nlohmann::ordered_json> rows;
  for (const Peer& peer : peers_) {
    nlohmann::ordered_json row = failed_row(question, peer.title, peer.status);
    row["peer"] = peer.name;
    if (peer.status.ok() && !peer.ns.empty()) {
      const double median = quantile_of(peer.ns, 0.5);
      row["reason"] = "";
      row["median_ns"] = median;
      row["min_ns"] = quantile_of(peer.ns, 0.0);
      row["samples_ns"] = peer.ns;
      row["kernel"] = peer.what;
      row["timed_ops"] = peer.ops;
      row["correct"] = true;
      if (ours.is_object()) {
        for (const char* key : {"bytes", "ops", "limit", "limit_kind"}) {
          row[key] = ours.at(key);
        }
        if (row["limit"].is_number()) {
          row["achieved_over_limit"] = row["limit"].get<double>() / median;
        }
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace tessera::bench
