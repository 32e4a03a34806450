// SPDX-License-Identifier: Apache-2.0
//
// The "decoder" of tokenizer.json, as a chain that takes one token at a time:
// streaming and whole texts share the code, so they cannot differ.

#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/json_object.hpp"
#include "framework/model/tokenizer/metaspace.hpp"
#include "framework/model/tokenizer/text_pattern.hpp"

namespace tessera {

struct DecodeReplace {
  TextPattern pattern;
  std::string content;
};
struct DecodeBytes {};  // <0xNN> becomes that byte
struct DecodeFuse {};
struct DecodeStrip {
  std::string content;  // one character
  size_t start;
  size_t stop;
};
struct DecodeMetaspace {
  Metaspace metaspace;
};
struct DecodeByteLevel {};
struct DecodeJoin {};  // no decoder: a space between tokens
using DecodeStep =
    std::variant<DecodeReplace, DecodeBytes, DecodeFuse, DecodeStrip,
                 DecodeMetaspace, DecodeByteLevel, DecodeJoin>;

class Decoder {
 public:
  // ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace, a Sequence of
  // them, or null.
  //
  // Errors  UNIMPLEMENTED, naming the type, for any other
  //         INVALID_ARGUMENT if a member is wrong
  static Result<Decoder> from_json(const nlohmann::json& value,
                                   const std::string& where);

  const std::vector<DecodeStep>& steps() const { return steps_; }

 private:
  Status add_steps(const nlohmann::json& value, const std::string& where);
  Status add_strip(const JsonObject& step);

  std::vector<DecodeStep> steps_;
};

// One text being decoded.
class DecodeChain {
 public:
  class Stage;

  // Requires  `decoder` outlives this.
  explicit DecodeChain(const Decoder& decoder);
  DecodeChain(DecodeChain&& other) noexcept;
  DecodeChain& operator=(DecodeChain&& other) noexcept;
  ~DecodeChain();

  // Appends to `out_text` what is settled by now; parts of a character too.
  void push(std::string_view token, std::string& out_text);

  // Appends what was held back.  The chain is then ready for the next text.
  void finish(std::string& out_text);

 private:
  std::vector<std::unique_ptr<Stage>> stages_;  // the last collects the text
};

}  // namespace tessera
