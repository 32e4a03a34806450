// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/post_processor.hpp"

#include <fmt/format.h>

namespace tessera {
namespace {

using nlohmann::json;

constexpr int64_t kMaxId = (int64_t{1} << 26) - 1;

// The ids of {"SpecialToken": {"id": "<s>"}} by the template's own table.
Status append_special(const JsonObject& step, const JsonObject& piece,
                      std::vector<int32_t>& ids) {
  TSR_ASSIGN_OR_RETURN(const std::string name, piece.string("id"));
  TSR_ASSIGN_OR_RETURN(const JsonObject table, step.object("special_tokens"));
  TSR_ASSIGN_OR_RETURN(const JsonObject token, table.object(name));
  TSR_ASSIGN_OR_RETURN(const json* const list, token.array("ids"));
  if (list == nullptr) return token.error("ids", "is missing");
  for (const json& id : *list) {
    if (!id.is_number_unsigned() ||
        id.get<uint64_t>() > static_cast<uint64_t>(kMaxId)) {
      return token.error("ids", "holds something else than ids");
    }
    ids.push_back(id.get<int32_t>());
  }
  return {};
}

}  // namespace

Status PostProcessor::add_template(const JsonObject& step) {
  TSR_ASSIGN_OR_RETURN(const json* const single, step.array("single"));
  if (single == nullptr) return step.error("single", "is missing");
  std::vector<int32_t> before;
  std::vector<int32_t> after;
  int num_texts = 0;
  for (const json& item : *single) {
    TSR_ASSIGN_OR_RETURN(const JsonObject piece,
                         JsonObject::from(item, step.where() + ": single"));
    if (piece.find("Sequence") != nullptr) {
      ++num_texts;
      continue;
    }
    TSR_ASSIGN_OR_RETURN(const JsonObject special,
                         piece.object("SpecialToken"));
    TSR_RETURN_IF_ERROR(
        append_special(step, special, num_texts == 0 ? before : after));
  }
  if (num_texts != 1) {
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("{}: single has the text {} times; once is "
                              "supported",
                              step.where(), num_texts));
  }
  // A later step wraps what the earlier ones made.
  prefix_.insert(prefix_.begin(), before.begin(), before.end());
  suffix_.insert(suffix_.end(), after.begin(), after.end());
  return {};
}

Status PostProcessor::add_steps(const json& value, const std::string& where) {
  TSR_ASSIGN_OR_RETURN(const JsonObject step, JsonObject::from(value, where));
  TSR_ASSIGN_OR_RETURN(const std::string type, step.string("type"));
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return add_template(step);
  if (type != "Sequence") {
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("{}: {} is not supported; TemplateProcessing, "
                              "ByteLevel and Sequence are",
                              where, type));
  }
  TSR_ASSIGN_OR_RETURN(const json* const list, step.array("processors"));
  if (list == nullptr) return step.error("processors", "is missing");
  for (const json& item : *list) {
    TSR_RETURN_IF_ERROR(add_steps(item, where));
  }
  return {};
}

Result<PostProcessor> PostProcessor::from_json(const json& value,
                                               const std::string& where) {
  PostProcessor processor;
  if (!value.is_null()) {
    TSR_RETURN_IF_ERROR(processor.add_steps(value, where));
  }
  return processor;
}

}  // namespace tessera
