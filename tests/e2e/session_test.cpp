// SPDX-License-Identifier: Apache-2.0
//
// What a session promises whatever the model: batches, chunks, threads,
// processes and devices change no result.

#include "framework/runtime/session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/e2e/loaded_model.hpp"

namespace tessera::e2e {
namespace {

using ::testing::HasSubstr;

const std::vector<std::string>& prompts() {
  static const std::vector<std::string> kPrompts = {
      "library for", "command line tool to", "Python 3 bindings", "game where"};
  return kPrompts;
}

std::unique_ptr<LoadedModel> load_default(const LoadOptions& options) {
  auto loaded = load(default_model_folder(), options);
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  return loaded.ok() ? std::move(*loaded) : nullptr;
}

std::vector<int32_t> greedy(LoadedModel& model, const std::string& prompt,
                            uint32_t count = 24) {
  const auto made = model.generate(model.encode(prompt), count);
  EXPECT_TRUE(made.ok()) << made.status().message();
  return made.ok() ? made->tokens : std::vector<int32_t>{};
}

// Four prompts at once, more than fit one step, so that prefill of some mixes
// with decode of others.  An f32 sum's order may follow the batch's size, which
// these prompts' margins survive; the order in 16-bit schemes may not.
void expect_batch_equals_alone(const char* scheme) {
  LoadOptions options;
  options.scheme = scheme;
  auto alone = load_default(options);
  ASSERT_NE(alone, nullptr);
  options.session.max_seqs = 3;
  options.session.max_outputs = 3;
  options.session.max_tokens = 5;
  auto batched = load_default(options);
  ASSERT_NE(batched, nullptr);
  std::vector<Request> requests;
  for (const std::string& prompt : prompts()) {
    Request request;
    request.prompt = batched->encode(prompt);
    request.max_new_tokens = 16;
    requests.push_back(request);
  }
  const auto made = generate(*batched->session, requests,
                             batched->model.config.eos_ids, nullptr);
  ASSERT_TRUE(made.ok()) << made.status().message();
  for (size_t i = 0; i < prompts().size(); ++i) {
    EXPECT_EQ(made->generations[i].tokens, greedy(*alone, prompts()[i], 16))
        << prompts()[i];
  }
}

TEST(Session, ABatchGivesWhatEachPromptGivesAlone) {
  expect_batch_equals_alone("f32");
  expect_batch_equals_alone("w8a8_dynamic");
}

class Schemes : public ::testing::TestWithParam<const char*> {};

TEST_P(Schemes, AChildProcessGivesTheSameTokens) {
  LoadOptions options;
  options.scheme = GetParam();
  auto here = load_default(options);
  options.isolate = true;
  auto there = load_default(options);
  ASSERT_NE(here, nullptr);
  ASSERT_NE(there, nullptr);
  for (const std::string& prompt : prompts()) {
    EXPECT_EQ(greedy(*there, prompt), greedy(*here, prompt)) << prompt;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Schemes,
                         ::testing::Values("f32", "bf16", "w16a16",
                                           "w8a8_dynamic", "w8a16", "w4a16",
                                           "q8_0", "bf16_kv8"),
                         [](const auto& scheme) {
                           return std::string(scheme.param);
                         });

TEST(Session, TwoDevicesGiveTheTokensOfOne) {
  LoadOptions options;
  auto one = load_default(options);
  options.two_devices = true;
  auto two = load_default(options);
  ASSERT_NE(one, nullptr);
  ASSERT_NE(two, nullptr);
  EXPECT_EQ(two->session->num_programs(), 6u + 1u - 0u)
      << "6 layers alternate, and the head follows layer 5";
  EXPECT_EQ(greedy(*two, prompts()[0]), greedy(*one, prompts()[0]));
}

// Logits bit for bit, prefill and decode.
TEST(Session, ThreadsChangeNoBit) {
  std::vector<std::vector<float>> runs;
  for (const uint32_t threads : {1U, 2U, 3U}) {
    LoadOptions options;
    options.num_threads = threads;
    auto model = load_default(options);
    ASSERT_NE(model, nullptr);
    const auto ids = model->encode("library for reading and writing");
    const uint32_t sequence = *model->session->open_sequence();
    std::vector<float> logits;
    const Feed prefill{sequence, ids, TSR_PREFILL, 1};
    ASSERT_TRUE(model->session->step({&prefill, 1}).ok());
    const auto first = model->session->logits(0);
    logits.insert(logits.end(), first.begin(), first.end());
    const Feed decode{sequence, std::span(ids).first(1), TSR_DECODE, 1};
    ASSERT_TRUE(model->session->step({&decode, 1}).ok());
    const auto second = model->session->logits(0);
    logits.insert(logits.end(), second.begin(), second.end());
    runs.push_back(logits);
  }
  EXPECT_EQ(std::memcmp(runs[0].data(), runs[1].data(),
                        runs[0].size() * sizeof(float)),
            0);
  EXPECT_EQ(std::memcmp(runs[0].data(), runs[2].data(),
                        runs[0].size() * sizeof(float)),
            0);
}

TEST(Session, EveryInstructionSetGivesTheSameGreedyText) {
  std::vector<int32_t> wanted;
  for (const char* isa :
       {"scalar", "avx2", "avx512", "avx512vnni", "avx512bf16", "amx"}) {
    LoadOptions options;
    options.device_options = {{"isa", isa}};
    auto loaded = load(default_model_folder(), options);
    if (!loaded.ok()) {
      EXPECT_THAT(loaded.status().message(), HasSubstr("this machine has no"));
      continue;
    }
    const auto tokens = greedy(**loaded, prompts()[0]);
    if (wanted.empty()) wanted = tokens;
    EXPECT_EQ(tokens, wanted) << isa;
  }
}

TEST(Session, EveryEosIdEndsAText) {
  auto model = load_default({});
  ASSERT_NE(model, nullptr);
  Request request;
  request.prompt = model->encode(prompts()[0]);
  request.max_new_tokens = 24;
  const auto tokens = greedy(*model, prompts()[0]);
  ASSERT_GT(tokens.size(), 8u);
  const auto made =
      generate(*model->session, {request}, {-5, tokens[6]}, nullptr);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->generations[0].reason, FinishReason::kEos);
  EXPECT_LE(made->generations[0].tokens.size(), 6u);
}

TEST(Session, StopsWhereTheContextIsFull) {
  LoadOptions options;
  options.session.max_context = 8;
  auto model = load_default(options);
  ASSERT_NE(model, nullptr);
  const auto prompt = model->encode(prompts()[0]);
  const auto made = model->generate(prompt, 100);
  ASSERT_TRUE(made.ok()) << made.status().message();
  if (made->reason != FinishReason::kEos) {
    EXPECT_EQ(made->reason, FinishReason::kContext);
    EXPECT_EQ(prompt.size() + made->tokens.size(), 8u + 1u);
  }
}

TEST(Session, RefusesAPromptBeyondTheContext) {
  LoadOptions options;
  options.session.max_context = 4;
  auto model = load_default(options);
  ASSERT_NE(model, nullptr);
  const auto made =
      model->generate(model->encode("command line tool to convert files"), 4);
  EXPECT_EQ(made.status().code(), TSR_INVALID_ARGUMENT);
  EXPECT_THAT(made.status().message(), HasSubstr("the context holds 4"));
}

TEST(Session, RefusesATokenOutsideTheVocabulary) {
  auto model = load_default({});
  ASSERT_NE(model, nullptr);
  EXPECT_THAT(model->generate({5000}, 1).status().message(),
              HasSubstr("token 5000"));
  EXPECT_THAT(model->generate({-1}, 1).status().message(),
              HasSubstr("token -1"));
  EXPECT_FALSE(greedy(*model, prompts()[0], 4).empty())
      << "the session still works";
}

TEST(Session, AProfileCoversEveryOpOfAStep) {
  LoadOptions options;
  options.session.profile = true;
  auto model = load_default(options);
  ASSERT_NE(model, nullptr);
  (void)greedy(*model, prompts()[0], 1);
  const auto records = model->session->take_profile();
  ASSERT_TRUE(records.ok()) << records.status().message();
  uint64_t covered = 0;
  for (const tsr_kernel_record& record : *records) {
    EXPECT_LE(record.begin_ns, record.end_ns);
    EXPECT_NE(record.kernel[0], '\0');
    covered += record.num_ops;
  }
  EXPECT_EQ(covered, model->session->graph().ops.size());
}

}  // namespace
}  // namespace tessera::e2e
