// SPDX-License-Identifier: Apache-2.0
//
// Declared output as a section of docs/json.md, and as a JSON Schema.
//
// Source  JSON Schema draft 2020-12, json-schema.org

#include <fmt/format.h>

#include <string>

#include "framework/cli/json/field.hpp"

namespace tessera::cli {
namespace {

const char* type_text(FieldKind kind) {
  switch (kind) {
    case FieldKind::kText:
      return "text";
    case FieldKind::kNumber:
      return "number";
    case FieldKind::kCount:
      return "count";
    case FieldKind::kFlag:
      return "flag";
    case FieldKind::kObject:
      return "object";
    case FieldKind::kList:
      return "list";
    case FieldKind::kMap:
      return "map";
    case FieldKind::kAny:
      break;
  }
  return "any";
}

std::string type_of(const Field& field) {
  std::string type = type_text(field.kind);
  const bool has_plain_items =
      !field.fields.empty() && field.kind != FieldKind::kObject;
  if (has_plain_items) {
    const Field& item = field.fields.front();
    type += std::string(" of ") + type_text(item.kind);
    if (item.can_be_null) type += " or null";
  }
  if (field.can_be_null) type += " or null";
  if (field.can_be_absent) type += ", if there is one";
  return type;
}

std::string cell(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '|') safe += '\\';
    safe += c;
  }
  return safe;
}

// A line for each key, those of objects in it below.
void add_lines(const std::vector<Field>& fields, const std::string& path,
               std::string& text) {
  for (const Field& field : fields) {
    const std::string name = path + field.name;
    text += fmt::format("| `{}`{} | {} | {} |\n", name,
                        field.has_interval ? " `_ci95`" : "", type_of(field),
                        cell(field.meaning));
    if (field.kind == FieldKind::kObject) {
      add_lines(field.fields, name + ".", text);
    }
    // What stands in the list or map, as deep as it goes.
    const Field* item = &field;
    std::string below = name;
    while (item->kind == FieldKind::kList || item->kind == FieldKind::kMap) {
      below += item->kind == FieldKind::kList ? "[]" : ".*";
      item = &item->fields.front();
    }
    if (item != &field && item->kind == FieldKind::kObject) {
      add_lines(item->fields, below + ".", text);
    }
  }
}

const char* form_text(OutputForm form) {
  switch (form) {
    case OutputForm::kObject:
      return "An object.";
    case OutputForm::kList:
      return "A list of objects.";
    case OutputForm::kObjectOrList:
      return "An object, or a list of them if there are several.";
    case OutputForm::kTexts:
      break;
  }
  return "A list of texts.";
}

Json schema_of(const Field& field);

Json object_schema(const std::vector<Field>& fields) {
  Json properties = Json::object();
  Json required = Json::array();
  for (const Field& field : fields) {
    properties[field.name] = schema_of(field);
    if (!field.can_be_absent) required.push_back(field.name);
    if (!field.has_interval) continue;
    properties[field.name + "_ci95"] = {
        {"type", {"array", "null"}},
        {"items", {{"type", {"number", "null"}}}},
        {"minItems", 2},
        {"maxItems", 2}};
  }
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"required", std::move(required)},
          {"additionalProperties", false}};
}

// Without whether it can be null.
Json bare_schema(const Field& field) {
  switch (field.kind) {
    case FieldKind::kText:
      return {{"type", "string"}};
    case FieldKind::kNumber:
      return {{"type", "number"}};
    case FieldKind::kCount:
      return {{"type", "integer"}, {"minimum", 0}};
    case FieldKind::kFlag:
      return {{"type", "boolean"}};
    case FieldKind::kObject:
      return object_schema(field.fields);
    case FieldKind::kList:
      return {{"type", "array"}, {"items", schema_of(field.fields.front())}};
    case FieldKind::kMap:
      return {{"type", "object"},
              {"additionalProperties", schema_of(field.fields.front())}};
    case FieldKind::kAny:
      break;
  }
  return Json::object();
}

Json schema_of(const Field& field) {
  Json schema = bare_schema(field);
  if (field.can_be_null && schema.contains("type")) {
    schema["type"] = {schema["type"], "null"};
  }
  if (!field.meaning.empty()) schema["description"] = field.meaning;
  return schema;
}

}  // namespace

std::string markdown_of(const OutputShape& shape) {
  std::string text =
      fmt::format("## {}\n\n{}{}{}\n", shape.command, form_text(shape.form),
                  shape.meaning.empty() ? "" : " ", shape.meaning);
  if (shape.fields.empty()) return text;
  text += "\n| key | type | |\n|---|---|---|\n";
  add_lines(shape.fields, "", text);
  return text;
}

Json json_schema_of(const OutputShape& shape) {
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "tessera " + shape.command}};
  const Json row = shape.form == OutputForm::kTexts
                       ? Json({{"type", "string"}})
                       : object_schema(shape.fields);
  const Json rows = {{"type", "array"}, {"items", row}};
  if (shape.form == OutputForm::kObject) {
    schema.update(row);
  } else if (shape.form == OutputForm::kObjectOrList) {
    schema["anyOf"] = {row, rows};
  } else {
    schema.update(rows);
  }
  return schema;
}

}  // namespace tessera::cli
