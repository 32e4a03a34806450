// SPDX-License-Identifier: Apache-2.0
//
// Hostile tokenizer.json files, and what those that load make of a text.

#include "framework/model/tokenizer/tokenizer.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace {

using tessera::promise;

constexpr std::string_view kTexts[] = {
    "",
    "ab ab<s> it's 42, \xc3\xa9\n\n  x",
    "\xff\xfe\xe2\x96\x81\xe2\x82 <0x41>",
};

void check(const tessera::Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text);
  if (!ids.ok()) {
    promise(!ids.status().message().empty(), "errors explain");
    return;
  }
  tessera::TextStream stream(tokenizer, false);
  std::string streamed;
  for (const int32_t id : *ids) {
    promise(id >= 0, "ids are not negative");
    streamed += stream.push(id);
  }
  streamed += stream.flush();
  promise(streamed == tokenizer.decode(*ids, false), "streams equal decode");
}

// The members that come after the model.
std::string document(std::string_view model, std::string_view members) {
  return R"({"version":"1.0","model":)" + std::string(model) +
         std::string(members) + "}";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto tokenizer = tessera::Tokenizer::parse(
      {reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!tokenizer.ok()) {
    promise(!tokenizer.status().message().empty(), "errors explain");
    return 0;
  }
  for (const std::string_view text : kTexts) check(*tokenizer, text);
  return 0;
}

std::vector<std::string> tessera::fuzz_seeds() {
  return {
      document(
          R"({"type":"BPE","unk_token":"<u>","fuse_unk":true,)"
          R"("byte_fallback":true,"vocab":{"<u>":0,"<s>":1,"a":2,"b":3,)"
          R"("ab":4,"\u2581":5,"\u2581ab":6,"<0xFF>":7,"<0xFE>":8},)"
          R"("merges":["a b","\u2581 ab"]})",
          R"(,"normalizer":{"type":"Sequence","normalizers":[)"
          R"({"type":"Prepend","prepend":"\u2581"},{"type":"Replace",)"
          R"("pattern":{"String":" "},"content":"\u2581"},{"type":"NFC"}]},)"
          R"("decoder":{"type":"Sequence","decoders":[{"type":"Replace",)"
          R"("pattern":{"String":"\u2581"},"content":" "},)"
          R"({"type":"ByteFallback"},{"type":"Fuse"},)"
          R"({"type":"Strip","content":" ","start":1,"stop":0}]},)"
          R"("added_tokens":[{"id":1,"content":"<s>","special":true,)"
          R"("lstrip":true,"rstrip":false,"single_word":false,)"
          R"("normalized":false}],"post_processor":)"
          R"({"type":"TemplateProcessing","single":[)"
          R"({"SpecialToken":{"id":"<s>","type_id":0}},)"
          R"({"Sequence":{"id":"A","type_id":0}}],)"
          R"("special_tokens":{"<s>":{"id":"<s>","ids":[1]}}})"),
      document(
          R"({"vocab":{"a":0,"b":1,"ab":2,"\u0120":3,"\u0120a":4,"4":5,)"
          R"("2":6},"merges":[["a","b"],["\u0120","a"]],)"
          R"("ignore_merges":true})",
          R"(,"pre_tokenizer":{"type":"Sequence","pretokenizers":[)"
          R"({"type":"Split","pattern":{"Regex":"'s|\\s?\\p{L}+|\\p{N}{1,3}|)"
          R"(\\s+(?!\\S)|\\s+"},"behavior":"Isolated","invert":false},)"
          R"({"type":"Digits","individual_digits":true},)"
          R"({"type":"ByteLevel","add_prefix_space":true,"use_regex":true}]},)"
          R"("decoder":{"type":"ByteLevel"},)"
          R"("post_processor":{"type":"ByteLevel"})"),
      document(R"({"vocab":{"a":0,"b":1,"_":2,"_a":3},"merges":["_ a"]})",
               R"(,"pre_tokenizer":{"type":"Metaspace","replacement":"_",)"
               R"("prepend_scheme":"first","split":true},)"
               R"("decoder":{"type":"Metaspace","replacement":"_",)"
               R"("prepend_scheme":"always","split":true},"added_tokens":[)"
               R"({"id":9,"content":"ab","single_word":true,"rstrip":true,)"
               R"("normalized":true}])"),
  };
}
