// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/eval/eval_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

EvalSubject subject() {
  EvalSubject made;
  made.device = "cpu";
  made.scheme = "w8a16";
  made.head_scheme = "bf16";
  made.embedding_scheme = "f16";
  made.text = "report.txt";
  made.num_documents = 3;
  made.oracle_accuracy = 0.5;
  return made;
}

PhaseResult result() {
  PhaseResult made;
  made.phase = "decode";
  made.metrics.perplexity = {12.0, 11.0, 13.0};
  made.metrics.kl_mean = {0.01, 0.005, 0.02};
  made.metrics.accuracy = {0.49, 0.4, 0.6};
  made.metrics.num_tokens = 100;
  return made;
}

TEST(EvalReport, JsonHasEveryPromisedKey) {
  const Json json = phase_json(subject(), result());
  for (const char* key :
       {"perplexity", "kl_mean", "kl_p99", "top1", "accuracy", "tokens",
        "phase", "perplexity_ci95", "kl_mean_ci95", "kl_p99_ci95", "top1_ci95",
        "accuracy_ci95", "device", "scheme", "plan"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["kl_mean_ci95"], Json::array({0.005, 0.02}));
  EXPECT_TRUE(json["plan"].is_null());
  EXPECT_FALSE(json.contains("kl_between"));
}

TEST(EvalReport, JsonAgainstADeviceHasItsKeys) {
  PhaseResult compared = result();
  compared.agreement = Agreement{1e-9, 1e-9, 1.0, 0.9};
  const Json json = phase_json(subject(), compared);
  EXPECT_EQ(json["kl_between"], 1e-9);
  EXPECT_EQ(json["argmax_agreement"], 1.0);
  EXPECT_EQ(json["decided_share"], 0.9);
  EXPECT_EQ(json["agrees"], true);
}

TEST(EvalReport, TextAlwaysNamesHeadAndEmbedding) {
  const std::string text = phase_text(subject(), result());
  EXPECT_THAT(text, HasSubstr("head bf16, embedding f16"));
  EXPECT_THAT(text, HasSubstr("cpu w8a16, decode: 100 tokens"));
  EXPECT_THAT(text, HasSubstr("12.0 [11.0, 13.0]"));
  EXPECT_THAT(text, Not(HasSubstr("against")));
}

}  // namespace
}  // namespace tessera::cli
