// SPDX-License-Identifier: Apache-2.0
//
// Conversations as apply_chat_template of transformers 5.23 puts them, less the
// BOS, of the templates of Llama-3-8B-Instruct, Llama-3.1-8B-Instruct,
// Qwen2.5-7B-Instruct, Qwen3-8B and Qwen3-4B-Instruct-2507.  The templates
// below say what those say, in a few words.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "framework/model/chat/format_chat.hpp"
#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using Messages = std::vector<ChatMessage>;

constexpr const char* kAskChatMl =
    R"({% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})";
constexpr const char* kAskLlama3 =
    R"({% if add_generation_prompt -%}
{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %})";

std::string qwen25_jinja() {
  return R"({#- there's no system message #}{% else %}
{{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. )"
         R"(You are a helpful assistant.<|im_end|>\n' }})" +
         std::string(kAskChatMl);
}

std::string qwen3_jinja() {
  return R"({{ '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{% set ns = namespace(last_query_index=9) %}{{ content.split('</think>') }}
{% if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}
{{- '<think>\n\n</think>\n\n' }}{% endif %}{% endif %})";
}

std::string llama31_jinja() {
  return R"({%- set date_string = "26 Jul 2024" %}
{{- "Cutting Knowledge Date: December 2023\n" }}
{{- "Today Date: " + date_string + "\n\n" }})" +
         std::string(kAskLlama3);
}

ChatTemplate recognize(const std::string& jinja) {
  const auto chat = recognize_chat_template(jinja);
  EXPECT_TRUE(chat.ok()) << chat.status().message();
  return chat.ok() ? *chat : ChatTemplate();
}

std::string format(const ChatTemplate& chat, const Messages& messages) {
  const auto text = format_chat(chat, messages);
  EXPECT_TRUE(text.ok()) << text.status().message();
  return text.ok() ? *text : std::string();
}

const Messages kUser = {{"user", " Hi \n"}};
const Messages kSystem = {{"system", " S "}, {"user", "Hi"}};
const Messages kTurns = {{"system", "S"},
                         {"user", "U1"},
                         {"assistant", "<think>\nT\n</think>\n\nA"},
                         {"user", "U2"}};
const Messages kLateSystem = {
    {"user", "U1"}, {"system", "S2"}, {"assistant", "A"}, {"user", "U2"}};
const Messages kThoughtsLast = {{"user", "U1"},
                                {"assistant", "\n<think>T</think>\nA"}};
const Messages kAnswerLast = {{"user", "U1"}, {"assistant", "\nA"}};
const Messages kNoQuestion = {{"assistant", "<think>T</think>A"}};

TEST(Chat, FormatsQwen25AsTransformersDo) {
  const ChatTemplate chat = recognize(qwen25_jinja());
  const std::string system =
      "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a "
      "helpful assistant.<|im_end|>\n";
  EXPECT_EQ(
      format(chat, kUser),
      system + "<|im_start|>user\n Hi \n<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(format(chat, kSystem),
            "<|im_start|>system\n S <|im_end|>\n<|im_start|>user\nHi<|im_end|>"
            "\n<|im_start|>assistant\n");
  EXPECT_EQ(format(chat, kTurns),
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n"
            "<|im_start|>assistant\n<think>\nT\n</think>\n\nA<|im_end|>\n"
            "<|im_start|>user\nU2<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(format(chat, kLateSystem),
            system +
                "<|im_start|>user\nU1<|im_end|>\n<|im_start|>system\nS2"
                "<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n<|im_start|>"
                "user\nU2<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(format(chat, kAnswerLast),
            system +
                "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n\nA"
                "<|im_end|>\n<|im_start|>assistant\n");
}

TEST(Chat, FormatsQwen3AsTransformersDo) {
  const ChatTemplate chat = recognize(qwen3_jinja());
  EXPECT_EQ(format(chat, kUser),
            "<|im_start|>user\n Hi \n<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(format(chat, kTurns),
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n"
            "<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nU2"
            "<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(format(chat, kLateSystem),
            "<|im_start|>user\nU1<|im_end|>\n<|im_start|>system\nS2<|im_end|>\n"
            "<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nU2"
            "<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(format(chat, kThoughtsLast),
            "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n<think>\nT"
            "\n</think>\n\nA<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(format(chat, kAnswerLast),
            "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n<think>\n\n"
            "</think>\n\nA<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(format(chat, kNoQuestion),
            "<|im_start|>assistant\nA<|im_end|>\n<|im_start|>assistant\n");
}

TEST(Chat, Qwen3InstructRemembersThoughts) {
  const ChatTemplate chat = recognize(kAskChatMl);
  EXPECT_EQ(format(chat, kThoughtsLast),
            "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n\n<think>T"
            "</think>\nA<|im_end|>\n<|im_start|>assistant\n");
}

TEST(Chat, ModelsThatAlwaysThinkBeginSo) {
  const ChatTemplate chat = recognize(
      R"({% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }})");
  EXPECT_EQ(format(chat, kSystem),
            "<|im_start|>system\n S <|im_end|>\n<|im_start|>user\nHi<|im_end|>"
            "\n<|im_start|>assistant\n<think>\n");
}

TEST(Chat, FormatsLlama3AsTransformersDo) {
  const ChatTemplate chat = recognize(kAskLlama3);
  EXPECT_EQ(format(chat, kUser),
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(format(chat, kTurns),
            "<|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nU1<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n<think>\nT\n"
            "</think>\n\nA<|eot_id|><|start_header_id|>user<|end_header_id|>"
            "\n\nU2<|eot_id|><|start_header_id|>assistant<|end_header_id|>"
            "\n\n");
}

TEST(Chat, FormatsLlama31AsTransformersDo) {
  const ChatTemplate chat = recognize(llama31_jinja());
  const std::string system =
      "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: "
      "December 2023\nToday Date: 26 Jul 2024\n\n";
  EXPECT_EQ(format(chat, kUser),
            system +
                "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi"
                "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(format(chat, kSystem),
            system +
                "S<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi"
                "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(format(chat, kLateSystem),
            system +
                "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU1"
                "<|eot_id|><|start_header_id|>system<|end_header_id|>\n\nS2"
                "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA"
                "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU2"
                "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
}

TEST(Chat, Llama32TellsTodaysDate) {
  const ChatTemplate chat = recognize(
      R"({%- set date_string = strftime_now("%d %b %Y") %})" + llama31_jinja());
  EXPECT_TRUE(chat.date.empty());
  EXPECT_THAT(format(chat, kUser), HasSubstr("\nToday Date: "));
  EXPECT_EQ(format(chat, kUser).find("26 Jul 2024"), std::string::npos);
}

TEST(Chat, FormatsLlama2AndMistral) {
  const Messages talk = {
      {"system", "S"}, {"user", "U1"}, {"assistant", "A"}, {"user", "U2"}};
  EXPECT_EQ(format(recognize("{{ '[INST] <<SYS>>' }}"), talk),
            "[INST] <<SYS>>\nS\n<</SYS>>\n\nU1 [/INST] A </s><s>[INST] U2 "
            "[/INST]");
  EXPECT_EQ(format(recognize("{{ '[INST] ' + ' [/INST]' }}"), talk),
            "[INST] S\n\nU1 [/INST] A</s>[INST] U2 [/INST]");
}

TEST(Chat, RefusesTalksThatATemplateCannotSay) {
  const auto code = [](ChatFamily family, const Messages& messages) {
    ChatTemplate chat;
    chat.family = family;
    return format_chat(chat, messages).status().code();
  };
  for (const ChatFamily family :
       {ChatFamily::kChatMl, ChatFamily::kLlama3, ChatFamily::kLlama2}) {
    EXPECT_EQ(code(family, {}), TSR_INVALID_ARGUMENT);
    EXPECT_EQ(code(family, {{"tool", "x"}}), TSR_INVALID_ARGUMENT);
  }
  EXPECT_EQ(code(ChatFamily::kLlama2, {{"user", "x"}, {"system", "y"}}),
            TSR_INVALID_ARGUMENT);
  EXPECT_EQ(code(ChatFamily::kMistral, {{"user", "x"}, {"user", "y"}}),
            TSR_INVALID_ARGUMENT);
  EXPECT_EQ(code(ChatFamily::kMistral, {{"user", "x"}, {"assistant", "y"}}),
            TSR_INVALID_ARGUMENT);
  EXPECT_EQ(code(ChatFamily::kLlama2, {{"system", "x"}}), TSR_INVALID_ARGUMENT);
}

TEST(Chat, RefusesOtherFamiliesByName) {
  const auto refusal = [](const std::string& jinja) {
    const Status status = recognize_chat_template(jinja).status();
    EXPECT_EQ(status.code(), TSR_UNIMPLEMENTED) << jinja;
    return status.message();
  };
  EXPECT_THAT(refusal("{{ '<start_of_turn>' }}"), HasSubstr("Gemma"));
  EXPECT_THAT(refusal("{{ '<|im_start|>' + role + '<|im_sep|>' }}"),
              HasSubstr("Phi-4"));
  EXPECT_THAT(refusal("{{ '<\xef\xbd\x9cUser\xef\xbd\x9c>' }}"),
              HasSubstr("DeepSeek"));
  EXPECT_THAT(refusal("{{ '[INST]' + '[/INST]' }}"), HasSubstr("Mistral"));
  EXPECT_THAT(refusal("<bos>"), HasSubstr("an unknown family"));
  // Asks for an answer as none of the family does.
  for (const char* closing :
       {"'<|im_start|>bot\\n'", "'<|im_start|>assistant\\n' + '<think>'",
        "'<|im_start|>assistant\\n' }}{{ '<think>\\n\\n</think>\\n\\n'", "x"}) {
    EXPECT_THAT(refusal(std::string("{{ '<|im_start|>' }}{% if "
                                    "add_generation_prompt %}{{ ") +
                        closing + " }}"),
                HasSubstr("unknown way"));
  }
  EXPECT_THAT(refusal("{{ '<|start_header_id|>' }}"), HasSubstr("unknown way"));
  for (const char* odd : {"", "{", "{{'", "{#", "{{'\\", "<|im_start|>{{\""}) {
    EXPECT_FALSE(recognize_chat_template(odd).ok()) << odd;
  }
}

TEST(Chat, FindsTheTemplateOfAModelFolder) {
  const ScratchFolder folder;
  EXPECT_EQ(read_chat_template(folder.path()).status().code(), TSR_NOT_FOUND);

  folder.write("chat_template.jinja", kAskLlama3);
  EXPECT_EQ(read_chat_template(folder.path())->family, ChatFamily::kLlama3);

  folder.write("tokenizer_config.json",
               R"({"chat_template":"{{ '[INST] <<SYS>>' }}"})");
  EXPECT_EQ(read_chat_template(folder.path())->family, ChatFamily::kLlama2);

  folder.write("tokenizer_config.json",
               R"({"chat_template":[{"name":"tool_use","template":"x"},
                   {"name":"default","template":"{{ '[INST] [/INST]' }}"}]})");
  EXPECT_EQ(read_chat_template(folder.path())->family, ChatFamily::kMistral);

  folder.write("tokenizer_config.json", R"({"chat_template":"<bos>"})");
  const Status unknown = read_chat_template(folder.path()).status();
  EXPECT_EQ(unknown.code(), TSR_UNIMPLEMENTED);
  EXPECT_THAT(unknown.message(), HasSubstr(folder.path()));

  folder.write("tokenizer_config.json", R"({"chat_template":7})");
  EXPECT_EQ(read_chat_template(folder.path()).status().code(),
            TSR_INVALID_ARGUMENT);
}

TEST(Chat, TheEndOfATurnEndsAnAnswer) {
  const auto tokenizer = Tokenizer::parse(
      R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[]},
          "added_tokens":[{"id":1,"content":"<|im_end|>","special":true},
                          {"id":2,"content":"<|eot_id|>","special":true}]})",
      "tokenizer.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  ChatTemplate chat;
  EXPECT_EQ(chat_eos_ids(chat, *tokenizer, {5}), (std::vector<int32_t>{1, 5}));
  EXPECT_EQ(chat_eos_ids(chat, *tokenizer, {1}), (std::vector<int32_t>{1}));
  chat.family = ChatFamily::kLlama3;
  EXPECT_EQ(chat_eos_ids(chat, *tokenizer, {}), (std::vector<int32_t>{2}));
  chat.family = ChatFamily::kLlama2;
  EXPECT_EQ(chat_eos_ids(chat, *tokenizer, {7}), (std::vector<int32_t>{7}));
}

}  // namespace
}  // namespace tessera
