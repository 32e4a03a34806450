// SPDX-License-Identifier: Apache-2.0
//
// What a command prints with --json, declared once: what is printed is held
// against it, and docs/json.md and the JSON Schemas are written from it.

#pragma once

#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/cli/json_output.hpp"

namespace tessera::cli {

enum class FieldKind {
  kText,
  kNumber,
  kCount,   // a whole number of at least 0
  kFlag,    // true or false
  kObject,  // of `fields`
  kList,    // of fields.front()
  kMap,     // of fields.front(), by names that are data
  kAny,
};

// A key of an object, or, without a name, what stands in a list or a map.
struct Field {
  std::string name;
  FieldKind kind = FieldKind::kAny;
  std::string meaning;  // empty if the name says it
  std::vector<Field> fields;
  bool can_be_null = false;
  bool can_be_absent = false;
  // `name`_ci95 comes with it: [low, high], each a number or null.
  bool has_interval = false;

  Field or_null() const;
  Field or_absent() const;
  Field with_interval() const;
};

Field text(std::string name, std::string meaning = "");
Field number(std::string name, std::string meaning = "");
Field count(std::string name, std::string meaning = "");
Field flag(std::string name, std::string meaning = "");
Field any(std::string name, std::string meaning = "");
Field object(std::string name, std::string meaning, std::vector<Field> fields);
// Of objects.
Field list(std::string name, std::string meaning, std::vector<Field> fields);
// Of values of one kind: `item` has no name.
Field list_of(std::string name, std::string meaning, Field item);
Field map_of(std::string name, std::string meaning, Field item);

enum class OutputForm {
  kObject,
  kList,          // of objects
  kObjectOrList,  // an only object stands alone
  kTexts,         // a list of texts
};

// All that one command prints.
struct OutputShape {
  std::string command;  // as it is typed, without "tessera"
  OutputForm form = OutputForm::kObject;
  std::string meaning;  // of the whole, in Markdown; may be empty
  std::vector<Field> fields;
};

// Whether `value` is what the shape promises: every key that must be there,
// of its kind, and no other.
//
// Errors  INTERNAL, naming the command, the path of the key, and what it is
Status check_output(const OutputShape& shape, const Json& value);

// A section of docs/json.md.
std::string markdown_of(const OutputShape& shape);
// Draft 2020-12.
Json json_schema_of(const OutputShape& shape);

}  // namespace tessera::cli
