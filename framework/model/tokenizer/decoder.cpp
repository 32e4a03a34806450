// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/decoder.hpp"

#include <fmt/format.h>

#include "framework/model/tokenizer/utf8.hpp"

namespace tessera {
namespace {

using nlohmann::json;

constexpr JsonObject::Bounds kStripCount{0, 1 << 20};

}  // namespace

Status Decoder::add_strip(const JsonObject& step) {
  DecodeStrip strip;
  TSR_ASSIGN_OR_RETURN(strip.content, step.string("content"));
  if (strip.content.empty() ||
      first_char(strip.content).bytes != strip.content.size()) {
    return step.error("content", "is not one character");
  }
  TSR_ASSIGN_OR_RETURN(const int64_t start, step.integer("start", kStripCount));
  TSR_ASSIGN_OR_RETURN(const int64_t stop, step.integer("stop", kStripCount));
  strip.start = static_cast<size_t>(start);
  strip.stop = static_cast<size_t>(stop);
  steps_.emplace_back(std::move(strip));
  return {};
}

Status Decoder::add_steps(const json& value, const std::string& where) {
  TSR_ASSIGN_OR_RETURN(const JsonObject step, JsonObject::from(value, where));
  TSR_ASSIGN_OR_RETURN(const std::string type, step.string("type"));
  if (type == "Sequence") {
    TSR_ASSIGN_OR_RETURN(const json* const list, step.array("decoders"));
    if (list == nullptr) return step.error("decoders", "is missing");
    for (const json& item : *list) {
      TSR_RETURN_IF_ERROR(add_steps(item, where));
    }
  } else if (type == "ByteLevel") {
    steps_.emplace_back(DecodeByteLevel{});
  } else if (type == "ByteFallback") {
    steps_.emplace_back(DecodeBytes{});
  } else if (type == "Fuse") {
    steps_.emplace_back(DecodeFuse{});
  } else if (type == "Strip") {
    return add_strip(step);
  } else if (type == "Metaspace") {
    TSR_ASSIGN_OR_RETURN(Metaspace metaspace, Metaspace::from_json(step));
    steps_.emplace_back(DecodeMetaspace{std::move(metaspace)});
  } else if (type == "Replace") {
    TSR_ASSIGN_OR_RETURN(TextPattern pattern, TextPattern::from_json(step));
    TSR_ASSIGN_OR_RETURN(std::string content, step.string("content"));
    steps_.emplace_back(DecodeReplace{std::move(pattern), std::move(content)});
  } else {
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("{}: {} is not supported; ByteLevel, Replace, "
                              "ByteFallback, Fuse, Strip, Metaspace and "
                              "Sequence are",
                              where, type));
  }
  return {};
}

Result<Decoder> Decoder::from_json(const json& value,
                                   const std::string& where) {
  Decoder decoder;
  if (value.is_null()) {
    decoder.steps_.emplace_back(DecodeJoin{});
  } else {
    TSR_RETURN_IF_ERROR(decoder.add_steps(value, where));
  }
  return decoder;
}

}  // namespace tessera
