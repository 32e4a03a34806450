// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/eval/eval_report.hpp"

#include <fmt/format.h>

#include "framework/cli/figures.hpp"
#include "framework/cli/table.hpp"

namespace tessera::cli {
namespace {

std::string agreement_text(const EvalSubject& subject,
                           const Agreement& agreement) {
  std::string text = fmt::format(
      "against {}: KL {} nats, same arg max at {} % of the {} % of positions "
      "that the oracle decides\n",
      subject.against, number_text(agreement.kl_between),
      number_text(100.0 * agreement.argmax_agreement),
      number_text(100.0 * agreement.decided_share));
  text += fmt::format(
      "two orders of the oracle differ by KL {}; {} agrees within twice that: "
      "{}\n",
      number_text(agreement.kl_order_floor), subject.device,
      agreement.agrees() ? "yes" : "no");
  return text;
}

}  // namespace

std::string phase_text(const EvalSubject& subject, const PhaseResult& result) {
  const EvalMetrics& metrics = result.metrics;
  Table table({{metrics.kl_mean.has_interval() ? "95 % intervals"
                                               : "one document: no intervals"},
               {""},
               {""}});
  table.add_row({"perplexity", interval_text(metrics.perplexity), ""});
  table.add_row({"KL mean", interval_text(metrics.kl_mean), "nats"});
  table.add_row({"KL p99", interval_text(metrics.kl_p99), "nats"});
  table.add_row({"top-1", interval_text(metrics.top1, 100.0),
                 "% same as the oracle's f32"});
  table.add_row({"accuracy", interval_text(metrics.accuracy, 100.0),
                 fmt::format("% of next tokens; the oracle's f32: {}",
                             number_text(100.0 * subject.oracle_accuracy))});
  std::string text = fmt::format(
      "{} {}, {}: {} tokens in {} of {}\nhead {}, embedding {}\n\n{}",
      subject.device, subject.scheme, result.phase, metrics.num_tokens,
      subject.num_documents == 1
          ? std::string("1 document")
          : fmt::format("{} documents", subject.num_documents),
      subject.text, subject.head_scheme, subject.embedding_scheme,
      table.text());
  if (result.agreement) {
    text += "\n" + agreement_text(subject, *result.agreement);
  }
  return text;
}

Json phase_json(const EvalSubject& subject, const PhaseResult& result) {
  const EvalMetrics& metrics = result.metrics;
  Json json;
  add_estimate(json, "perplexity", metrics.perplexity);
  add_estimate(json, "kl_mean", metrics.kl_mean);
  add_estimate(json, "kl_p99", metrics.kl_p99);
  add_estimate(json, "top1", metrics.top1);
  add_estimate(json, "accuracy", metrics.accuracy);
  json["tokens"] = metrics.num_tokens;
  json["phase"] = result.phase;
  json["device"] = subject.device;
  json["scheme"] = subject.scheme;
  json["plan"] = subject.plan.empty() ? Json() : Json(subject.plan);
  json["head_scheme"] = subject.head_scheme;
  json["embedding_scheme"] = subject.embedding_scheme;
  json["text"] = subject.text;
  json["documents"] = subject.num_documents;
  json["oracle_accuracy"] = subject.oracle_accuracy;
  json["accuracy_drop"] = accuracy_drop(metrics, subject.oracle_accuracy);
  if (result.agreement) {
    json["against"] = subject.against;
    json["kl_between"] = result.agreement->kl_between;
    json["argmax_agreement"] = result.agreement->argmax_agreement;
    json["decided_share"] = result.agreement->decided_share;
    json["kl_order_floor"] = result.agreement->kl_order_floor;
    json["agrees"] = result.agreement->agrees();
  }
  json["missed_gates"] = result.missed;
  return json;
}

}  // namespace tessera::cli
