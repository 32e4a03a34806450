// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/command.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tessera::cli {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

Outcome run(std::vector<std::string> words) {
  std::vector<const char*> arguments = {"tessera"};
  for (const std::string& word : words) arguments.push_back(word.c_str());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.code =
      run_command_line(static_cast<int>(arguments.size()), arguments.data());
  outcome.out = ::testing::internal::GetCapturedStdout();
  outcome.err = ::testing::internal::GetCapturedStderr();
  return outcome;
}

size_t count_lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(Command, AloneShowsItsHelp) {
  const Outcome outcome = run({});
  EXPECT_EQ(outcome.code, kDone);
  EXPECT_THAT(outcome.out, HasSubstr("compare"));
}

TEST(Command, VersionNamesTheAbi) {
  const Outcome outcome = run({"--version"});
  EXPECT_EQ(outcome.code, kDone);
  EXPECT_THAT(outcome.out, HasSubstr("plugin ABI 1.0"));
}

TEST(Command, EveryHelpHasAnExample) {
  for (const char* name : {"devices", "inspect", "run", "eval", "compare"}) {
    const Outcome outcome = run({name, "--help"});
    EXPECT_EQ(outcome.code, kDone) << name;
    EXPECT_THAT(outcome.out, HasSubstr("Example")) << name;
    EXPECT_THAT(outcome.out, HasSubstr(std::string("  tessera ") + name));
  }
}

TEST(Command, UnknownCommandListsThoseThereAre) {
  const Outcome outcome = run({"frobnicate"});
  EXPECT_EQ(outcome.code, kWrongUse);
  EXPECT_THAT(outcome.err,
              AllOf(StartsWith("tessera: no command frobnicate"),
                    HasSubstr("devices, inspect, run, eval, compare")));
}

// A command line that cannot work, and a word its error must have.
struct WrongUse {
  std::vector<std::string> words;
  const char* names;
};

class CommandWrongUse : public ::testing::TestWithParam<WrongUse> {};

TEST_P(CommandWrongUse, IsOneLineThatNamesTheFlag) {
  const Outcome outcome = run(GetParam().words);
  EXPECT_EQ(outcome.code, kWrongUse);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err,
              AllOf(StartsWith("tessera " + GetParam().words[0] + ": "),
                    HasSubstr(GetParam().names), EndsWith("--help\n")));
  EXPECT_EQ(count_lines(outcome.err), 1U) << outcome.err;
}

INSTANTIATE_TEST_SUITE_P(
    Lines, CommandWrongUse,
    ::testing::Values(
        WrongUse{{"run"}, "-p TEXT"},
        WrongUse{{"run", "-p", ""}, "--prompt: the prompt is empty"},
        WrongUse{{"run", "-p"}, "--prompt"},
        WrongUse{{"run", "-p", "a", "-n", "0"}, "--tokens: 0 is not"},
        WrongUse{{"run", "-p", "a", "-n", "-5"}, "--tokens: -5 is not"},
        WrongUse{{"run", "-p", "a", "-n", "1e3"}, "--tokens: 1e3 is not"},
        WrongUse{{"run", "-p", "a", "-n", "4294967296"}, "--tokens"},
        WrongUse{{"run", "-p", "a", "--scheme", "w3a3"}, "w8a8_dynamic"},
        WrongUse{{"run", "-p", "a", "--kv", "q4"},
                 "f32, f16, bf16, int8, int8_channel, fa3"},
        WrongUse{{"run", "-p", "a", "--threads", "0"}, "--threads"},
        WrongUse{{"run", "-p", "a", "--top-k", "5"}, "--temperature"},
        WrongUse{{"run", "-p", "a", "--temperature", "-1"}, "--temperature"},
        WrongUse{{"run", "-p", "a", "--temperature", "1", "--top-p", "1.5"},
                 "--top-p: 1.5"},
        WrongUse{{"run", "-p", "a", "--bogus"}, "--bogus"},
        WrongUse{{"run", "-p", "a", "model", "another"}, "another"},
        WrongUse{{"eval", "--phase", "sideways"}, "--phase"},
        WrongUse{{"eval", "--max-kl", "0"}, "--max-kl"},
        WrongUse{{"eval", "--max-kl", "nan"}, "--max-kl"},
        WrongUse{{"eval", "--max-drop", "-1"}, "--max-drop"},
        WrongUse{{"eval", "--limit", "0"}, "--limit"},
        WrongUse{{"eval", "--context", "1"}, "--context"},
        WrongUse{{"compare", "--schemes", "f32,nope"}, "nope"},
        WrongUse{{"compare", "-n", "1"}, "--tokens"},
        WrongUse{{"inspect", "--estimate=maybe"}, "--estimate"},
        WrongUse{{"devices", "cpu"}, "cpu"}));

TEST(Command, MissingModelFailsAndNamesIt) {
  for (const char* name : {"run", "eval", "inspect", "compare"}) {
    std::vector<std::string> words = {name, "/nonexistent/model"};
    if (std::string(name) == "run") words.insert(words.end(), {"-p", "a"});
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, kFailed) << name;
    EXPECT_EQ(outcome.err, std::string("tessera ") + name +
                               ": MODEL /nonexistent/model: no such folder\n");
  }
}

TEST(Command, ModelThatIsAFileSaysWhatAModelIs) {
  const Outcome outcome = run({"inspect", TSR_SOURCE_DIR "/README.md"});
  EXPECT_EQ(outcome.code, kFailed);
  EXPECT_THAT(outcome.err, HasSubstr("a model is a Hugging Face folder"));
}

TEST(Command, InspectJsonHasEveryPromisedKey) {
  const Outcome outcome = run({"inspect", "--estimate", "--json"});
  ASSERT_EQ(outcome.code, kDone) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["architecture"], "Qwen3ForCausalLM");
  EXPECT_EQ(json["parameters"], 5'246'592);
  EXPECT_TRUE(json.contains("bytes"));
  // Embedding, eleven ops with weights in each of six layers, norm, head.
  EXPECT_EQ(json["layers"].size(), 1U + 6U * 11U + 2U);
  for (const auto& layer : json["layers"]) {
    for (const char* key : {"name", "op", "shape", "scheme", "bytes"}) {
      EXPECT_TRUE(layer.contains(key)) << key;
    }
  }
  EXPECT_EQ(json["estimate"][0]["scheme"], "f32");
}

}  // namespace
}  // namespace tessera::cli
