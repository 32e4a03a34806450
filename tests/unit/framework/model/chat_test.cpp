// SPDX-License-Identifier: Apache-2.0

#include "framework/model/chat.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using Messages = std::vector<ChatMessage>;

const Messages& talk() {
  static const Messages messages = {
      {"system", "S"}, {"user", "U1"}, {"assistant", "A"}, {"user", "U2"}};
  return messages;
}

std::string format(ChatTemplate kind, const Messages& messages) {
  auto text = format_chat(kind, messages);
  EXPECT_TRUE(text.ok()) << text.status().message();
  return text.ok() ? *text : std::string();
}

TEST(Chat, FormatsEachTemplate) {
  EXPECT_EQ(format(ChatTemplate::kChatMl, talk()),
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n"
            "<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nU2"
            "<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(format(ChatTemplate::kLlama3, talk()),
            "<|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nU1<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nU2<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(format(ChatTemplate::kLlama2, talk()),
            "[INST] <<SYS>>\nS\n<</SYS>>\n\nU1 [/INST] A </s><s>[INST] U2 "
            "[/INST]");
  EXPECT_EQ(format(ChatTemplate::kMistral, talk()),
            "[INST] S\n\nU1 [/INST] A</s>[INST] U2 [/INST]");
}

TEST(Chat, RefusesTalksThatATemplateCannotSay) {
  const auto code = [](ChatTemplate kind, const Messages& messages) {
    return format_chat(kind, messages).status().code();
  };
  for (const ChatTemplate kind :
       {ChatTemplate::kChatMl, ChatTemplate::kLlama3, ChatTemplate::kLlama2}) {
    EXPECT_EQ(code(kind, {}), TSR_INVALID_ARGUMENT);
    EXPECT_EQ(code(kind, {{"tool", "x"}}), TSR_INVALID_ARGUMENT);
    EXPECT_EQ(code(kind, {{"user", "x"}, {"system", "y"}}),
              TSR_INVALID_ARGUMENT);
  }
  EXPECT_EQ(code(ChatTemplate::kMistral, {{"user", "x"}, {"user", "y"}}),
            TSR_INVALID_ARGUMENT);
  EXPECT_EQ(code(ChatTemplate::kMistral, {{"user", "x"}, {"assistant", "y"}}),
            TSR_INVALID_ARGUMENT);
  EXPECT_EQ(code(ChatTemplate::kLlama2, {{"system", "x"}}),
            TSR_INVALID_ARGUMENT);
}

TEST(Chat, RecognizesTemplatesInAModelFolder) {
  const ScratchFolder folder;
  EXPECT_EQ(read_chat_template(folder.path()).status().code(), TSR_NOT_FOUND);

  folder.write("chat_template.jinja", "{{ '[INST]' }}");
  EXPECT_EQ(*read_chat_template(folder.path()), ChatTemplate::kMistral);

  folder.write("tokenizer_config.json",
               R"({"chat_template":"{{ '<|im_start|>' }}"})");
  EXPECT_EQ(*read_chat_template(folder.path()), ChatTemplate::kChatMl);

  folder.write("tokenizer_config.json",
               R"({"chat_template":[{"name":"tool_use","template":"x"},
                   {"name":"default","template":"<|start_header_id|>"}]})");
  EXPECT_EQ(*read_chat_template(folder.path()), ChatTemplate::kLlama3);

  folder.write("tokenizer_config.json",
               R"({"chat_template":"[INST] <<SYS>>"})");
  EXPECT_EQ(*read_chat_template(folder.path()), ChatTemplate::kLlama2);

  folder.write("tokenizer_config.json", R"({"chat_template":"<bos>"})");
  const auto unknown = read_chat_template(folder.path());
  EXPECT_EQ(unknown.status().code(), TSR_UNIMPLEMENTED);
  EXPECT_THAT(unknown.status().message(), HasSubstr("not one of ChatML"));

  folder.write("tokenizer_config.json", R"({"chat_template":7})");
  EXPECT_EQ(read_chat_template(folder.path()).status().code(),
            TSR_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tessera
