// SPDX-License-Identifier: Apache-2.0
//
// What clients send is a question or one clear refusal.

#include "framework/cli/serve/openai_request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <string>

#include "framework/cli/serve/openai_reply.hpp"

namespace tessera::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A token for each byte; answers nothing.
class ByteEngine final : public session::Engine {
 public:
  const std::string& model_name() const override { return name_; }
  uint32_t max_context() const override { return 32; }
  Result<std::vector<int32_t>> encode(std::string_view text) const override {
    return std::vector<int32_t>(text.begin(), text.end());
  }
  Result<std::vector<int32_t>> encode_chat(
      std::span<const ChatMessage> messages) const override {
    std::string text;
    for (const ChatMessage& m : messages) text += m.role + ":" + m.content;
    return encode(text);
  }
  Result<session::Answer> answer(
      const session::Question& /*question*/,
      const session::TextCallback& /*on_text*/) override {
    return session::Answer();
  }
  void stop() override {}

 private:
  std::string name_ = "bytes";
};

Result<OpenAiRequest> parse(const std::string& body, bool is_chat = false) {
  static const ByteEngine engine;
  return parse_openai_request(body, is_chat, engine);
}

std::string refusal(const std::string& body, bool is_chat = false) {
  const Result<OpenAiRequest> request = parse(body, is_chat);
  EXPECT_FALSE(request.ok()) << body;
  return request.status().message();
}

TEST(OpenAiRequest, TakesTextsAndTokenIds) {
  EXPECT_THAT(parse(R"({"prompt": "ab"})")->questions[0].tokens,
              ElementsAre('a', 'b'));
  EXPECT_THAT(parse(R"({"prompt": [5, 6]})")->questions[0].tokens,
              ElementsAre(5, 6));
  const auto several = parse(R"({"prompt": [[5], [6, 7]], "n": 2})");
  ASSERT_TRUE(several.ok()) << several.status().message();
  ASSERT_EQ(several->questions.size(), 4U);
  EXPECT_THAT(several->questions[1].tokens, ElementsAre(5));
  EXPECT_THAT(several->questions[3].tokens, ElementsAre(6, 7));
  EXPECT_EQ(parse(R"({"prompt": ["a", "b"]})")->questions.size(), 2U);
}

TEST(OpenAiRequest, HasTheUsualDefaults) {
  const auto plain = parse(R"({"prompt": "a", "max_tokens": null})");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->questions[0].max_new_tokens, 16U);
  EXPECT_EQ(plain->questions[0].temperature, 1.0f);
  EXPECT_FALSE(plain->stream);
  const auto chat = parse(
      R"({"messages": [{"role": "developer", "content": [
            {"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}],
          "temperature": 0, "seed": 7, "stop": "z", "stream": true,
          "stream_options": {"include_usage": true}, "n": 2,
          "max_completion_tokens": 9, "max_tokens": 3, "user": "ignored"})",
      true);
  ASSERT_TRUE(chat.ok()) << chat.status().message();
  const session::Question& question = chat->questions[1];
  EXPECT_EQ(std::string(question.tokens.begin(), question.tokens.end()),
            "system:xy");
  EXPECT_EQ(question.max_new_tokens, 9U);
  EXPECT_EQ(question.temperature, 0.0f);
  EXPECT_EQ(question.seed, 8U);
  EXPECT_THAT(question.stops, ElementsAre("z"));
  EXPECT_TRUE(chat->stream && chat->include_usage);
  EXPECT_EQ(parse(R"({"messages": [{"role": "user", "content": "a"}]})", true)
                ->questions[0]
                .max_new_tokens,
            0U);
}

TEST(OpenAiRequest, AcceptsWhatChangesNothing) {
  EXPECT_TRUE(parse(R"({"prompt": "a", "echo": false, "logprobs": null,
                        "presence_penalty": 0, "logit_bias": {}, "tools": [],
                        "tool_choice": "none", "best_of": 1,
                        "response_format": {"type": "text"}})")
                  .ok());
}

TEST(OpenAiRequest, RefusesByName) {
  for (const char* body : {"", "[]", "3", "{", "\"x\"", "{\"a\":\x80}"}) {
    EXPECT_THAT(refusal(body), HasSubstr("the body: is not a JSON object"));
  }
  EXPECT_THAT(refusal("{}"), HasSubstr("prompt: "));
  for (const char* prompt :
       {"3", "[]", "\"\"", "{}", "[true]", "[1, \"a\"]", "[-1]", "[1e9]",
        "[99999999999]", "[[1], 2]", "[[\"a\"]]", "null"}) {
    EXPECT_THAT(refusal(std::string("{\"prompt\": ") + prompt + "}"),
                HasSubstr("prompt: "))
        << prompt;
  }
  EXPECT_THAT(refusal(R"({"prompt": "0123456789012345678901234567890123"})"),
              HasSubstr("the context holds 32"));
  const auto refused = [](const std::string& more) {
    return refusal(R"({"prompt": "a", )" + more + "}");
  };
  EXPECT_THAT(refused(R"("max_tokens": -1)"), HasSubstr("max_tokens: "));
  EXPECT_THAT(refused(R"("max_tokens": 1.5)"), HasSubstr("max_tokens: "));
  EXPECT_THAT(refused(R"("max_tokens": 1e30)"), HasSubstr("max_tokens: "));
  EXPECT_THAT(refused(R"("temperature": 2.1)"), HasSubstr("temperature: 2.1"));
  EXPECT_THAT(refused(R"("temperature": "hot")"), HasSubstr("not a number"));
  EXPECT_THAT(refused(R"("top_p": 1.01)"), HasSubstr("top_p: "));
  EXPECT_THAT(refused(R"("n": 17)"), HasSubstr("n: 17 is not from 1 to 16"));
  EXPECT_THAT(refused(R"("stop": ["a", "b", "c", "d", "e"])"),
              HasSubstr("stop: "));
  EXPECT_THAT(refused(R"("stop": [1])"), HasSubstr("stop: "));
  EXPECT_THAT(refused(R"("stream": 1)"), HasSubstr("stream: "));
  EXPECT_THAT(refused(R"("stream_options": [])"), HasSubstr("stream_options"));
  EXPECT_THAT(refused(R"("seed": "x")"), HasSubstr("seed: "));
  EXPECT_THAT(refused(R"("logprobs": 2)"), HasSubstr("logprobs: is not"));
  EXPECT_THAT(refused(R"("echo": true)"), HasSubstr("echo: is not offered"));
  EXPECT_THAT(refused(R"("best_of": 3)"), HasSubstr("best_of: "));
  EXPECT_THAT(refused(R"("model": "gpt-5")"), HasSubstr("only bytes"));
  for (const char* messages :
       {"3", "[]", "[3]", "[{}]", R"([{"role": "user"}])",
        R"([{"role": 1, "content": "a"}])",
        R"([{"role": "user", "content": 3}])",
        R"([{"role": "user", "content": [{"type": "image_url"}]}])"}) {
    EXPECT_THAT(refusal(std::string("{\"messages\": ") + messages + "}", true),
                HasSubstr("messages: "))
        << messages;
  }
  EXPECT_THAT(refusal(R"({"messages": [{"role": "user", "content": "a"}],
                  "tools": [{"type": "function"}]})",
                      true),
              HasSubstr("tools: is not offered"));
}

TEST(OpenAiRequest, DeepNestingIsNoDanger) {
  const std::string deep(1'000'000, '[');
  EXPECT_FALSE(parse(deep).ok());
  EXPECT_FALSE(parse("{\"prompt\": " + deep).ok());
}

TEST(OpenAiReply, ErrorsNameTheKeyAndTheStatus) {
  const Status missing(TSR_NOT_FOUND, "model: there is no x, only y");
  EXPECT_EQ(http_status(missing), 404);
  EXPECT_EQ(error_json(missing).at("error").at("code"), "model_not_found");
  const Status wrong(TSR_INVALID_ARGUMENT, "top_p: is not a number");
  EXPECT_EQ(http_status(wrong), 400);
  EXPECT_EQ(error_json(wrong).at("error").at("param"), "top_p");
  const Status lost(TSR_INTERNAL, "device cpu: lost");
  EXPECT_EQ(http_status(lost), 500);
  EXPECT_TRUE(error_json(lost).at("error").at("param").is_null());
}

TEST(OpenAiReply, BytesThatAreNoTextBecomeReplacements) {
  session::Answer answer;
  answer.text = "a\xff";
  const std::string line =
      line_of(completion_json(make_reply_head("m", false), {answer}));
  EXPECT_THAT(line, HasSubstr("a\xef\xbf\xbd"));
  EXPECT_EQ(line.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace tessera::cli
