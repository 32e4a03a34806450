// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/normalizer.hpp"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "framework/model/json_object.hpp"
#include "framework/model/tokenizer/utf8.hpp"

namespace tessera {
namespace {

using nlohmann::json;

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x80;
  });
}

// Appends the composed form of `text`, which is valid UTF-8.
Status append_nfc(std::string_view text, std::string& out_text) {
  utf8proc_uint8_t* composed = nullptr;
  const utf8proc_ssize_t length = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
      static_cast<utf8proc_ssize_t>(text.size()), &composed,
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(
      composed, &std::free);
  if (length < 0) {
    return Status(TSR_INTERNAL,
                  fmt::format("nfc: {}", utf8proc_errmsg(length)));
  }
  out_text.append(reinterpret_cast<const char*>(composed),
                  static_cast<size_t>(length));
  return {};
}

Result<std::string> to_nfc(std::string text) {
  if (is_ascii(text)) return text;
  const std::string_view view = text;
  std::string result;
  for (const Utf8Run& run : utf8_runs(view)) {
    const std::string_view part = view.substr(run.begin, run.end - run.begin);
    if (run.is_valid) {
      TSR_RETURN_IF_ERROR(append_nfc(part, result));
    } else {
      result += part;
    }
  }
  return result;
}

}  // namespace

Status Normalizer::add_steps(const json& value, const std::string& where,
                             Normalizer& normalizer) {
  TSR_ASSIGN_OR_RETURN(const JsonObject step, JsonObject::from(value, where));
  TSR_ASSIGN_OR_RETURN(const std::string type, step.string("type"));
  if (type == "Sequence") {
    TSR_ASSIGN_OR_RETURN(const json* const list, step.array("normalizers"));
    if (list == nullptr) return step.error("normalizers", "is missing");
    for (const json& item : *list) {
      TSR_RETURN_IF_ERROR(add_steps(item, where, normalizer));
    }
  } else if (type == "Prepend") {
    TSR_ASSIGN_OR_RETURN(std::string text, step.string("prepend"));
    normalizer.steps_.emplace_back(Prepend{std::move(text)});
  } else if (type == "Replace") {
    TSR_ASSIGN_OR_RETURN(TextPattern pattern, TextPattern::from_json(step));
    TSR_ASSIGN_OR_RETURN(std::string content, step.string("content"));
    normalizer.steps_.emplace_back(
        Replace{std::move(pattern), std::move(content)});
  } else if (type == "NFC") {
    normalizer.steps_.emplace_back(Nfc{});
  } else {
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("{}: {} is not supported; Prepend, Replace, NFC "
                              "and Sequence are",
                              where, type));
  }
  return {};
}

Result<Normalizer> Normalizer::from_json(const json& value,
                                         const std::string& where) {
  Normalizer normalizer;
  if (!value.is_null()) {
    TSR_RETURN_IF_ERROR(add_steps(value, where, normalizer));
  }
  return normalizer;
}

Result<std::string> Normalizer::normalize(std::string text,
                                          bool add_prefix) const {
  for (const auto& step : steps_) {
    if (const auto* prepend = std::get_if<Prepend>(&step)) {
      if (add_prefix && !text.empty()) text.insert(0, prepend->text);
    } else if (const auto* replace = std::get_if<Replace>(&step)) {
      TSR_ASSIGN_OR_RETURN(
          text, replace->pattern.replace_all(text, replace->content));
    } else {
      TSR_ASSIGN_OR_RETURN(text, to_nfc(std::move(text)));
    }
  }
  return text;
}

}  // namespace tessera
