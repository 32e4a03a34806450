// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/json/field.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string_view>
#include <utility>

namespace tessera::cli {
namespace {

constexpr std::string_view kInterval = "_ci95";

Field plain(std::string name, FieldKind kind, std::string meaning) {
  Field field;
  field.name = std::move(name);
  field.kind = kind;
  field.meaning = std::move(meaning);
  return field;
}

const char* kind_name(FieldKind kind) {
  switch (kind) {
    case FieldKind::kText:
      return "text";
    case FieldKind::kNumber:
      return "a number";
    case FieldKind::kCount:
      return "a whole number of at least 0";
    case FieldKind::kFlag:
      return "true or false";
    case FieldKind::kList:
      return "a list";
    default:
      return "an object";
  }
}

// JSON has no infinity: it is printed as null.
bool prints_null(const Json& value) {
  return value.is_null() ||
         (value.is_number_float() && !std::isfinite(value.get<double>()));
}

bool is_of_kind(const Json& value, FieldKind kind) {
  switch (kind) {
    case FieldKind::kText:
      return value.is_string();
    case FieldKind::kNumber:
      return value.is_number();
    case FieldKind::kCount:
      return value.is_number_unsigned() ||
             (value.is_number_integer() && value.get<int64_t>() >= 0);
    case FieldKind::kFlag:
      return value.is_boolean();
    case FieldKind::kList:
      return value.is_array();
    case FieldKind::kObject:
    case FieldKind::kMap:
      return value.is_object();
    case FieldKind::kAny:
      break;
  }
  return true;
}

// Holds a value against its declaration, and names the first that differs.
class OutputCheck {
 public:
  explicit OutputCheck(const std::string& command) : command_(command) {}

  Status check(const Field& field, const Json& value, const std::string& path) {
    if (prints_null(value)) {
      if (field.can_be_null || field.kind == FieldKind::kAny) return {};
      return fail(path, "is null, and not declared so");
    }
    if (!is_of_kind(value, field.kind)) {
      return fail(path, fmt::format("is not {}", kind_name(field.kind)));
    }
    if (field.kind == FieldKind::kObject) {
      return check_keys(field.fields, value, path);
    }
    if (field.kind == FieldKind::kList || field.kind == FieldKind::kMap) {
      for (const auto& [key, item] : value.items()) {
        TSR_RETURN_IF_ERROR(check(field.fields.front(), item,
                                  fmt::format("{}[{}]", path, key)));
      }
    }
    return {};
  }

 private:
  Status check_keys(const std::vector<Field>& fields, const Json& value,
                    const std::string& path) {
    for (const Field& field : fields) {
      const std::string where = fmt::format("{}.{}", path, field.name);
      const auto found = value.find(field.name);
      if (found == value.end()) {
        if (!field.can_be_absent) return fail(where, "is missing");
        continue;
      }
      TSR_RETURN_IF_ERROR(check(field, *found, where));
    }
    for (const auto& [key, item] : value.items()) {
      if (!is_declared(fields, key)) {
        return fail(fmt::format("{}.{}", path, key), "is not declared");
      }
    }
    return {};
  }

  static bool is_declared(const std::vector<Field>& fields,
                          const std::string& key) {
    for (const Field& field : fields) {
      if (field.name == key) return true;
      if (field.has_interval && key == field.name + std::string(kInterval)) {
        return true;
      }
    }
    return false;
  }

  Status fail(const std::string& path, const std::string& what) const {
    return {TSR_INTERNAL,
            fmt::format("the JSON of {}: {} {}", command_, path, what)};
  }

  const std::string& command_;
};

}  // namespace

Field Field::or_null() const {
  Field field = *this;
  field.can_be_null = true;
  return field;
}

Field Field::or_absent() const {
  Field field = *this;
  field.can_be_absent = true;
  return field;
}

Field Field::with_interval() const {
  Field field = *this;
  field.has_interval = true;
  return field;
}

Field text(std::string name, std::string meaning) {
  return plain(std::move(name), FieldKind::kText, std::move(meaning));
}

Field number(std::string name, std::string meaning) {
  return plain(std::move(name), FieldKind::kNumber, std::move(meaning));
}

Field count(std::string name, std::string meaning) {
  return plain(std::move(name), FieldKind::kCount, std::move(meaning));
}

Field flag(std::string name, std::string meaning) {
  return plain(std::move(name), FieldKind::kFlag, std::move(meaning));
}

Field any(std::string name, std::string meaning) {
  return plain(std::move(name), FieldKind::kAny, std::move(meaning));
}

Field object(std::string name, std::string meaning, std::vector<Field> fields) {
  Field field = plain(std::move(name), FieldKind::kObject, std::move(meaning));
  field.fields = std::move(fields);
  return field;
}

Field list(std::string name, std::string meaning, std::vector<Field> fields) {
  return list_of(std::move(name), std::move(meaning),
                 object("", "", std::move(fields)));
}

Field list_of(std::string name, std::string meaning, Field item) {
  Field field = plain(std::move(name), FieldKind::kList, std::move(meaning));
  field.fields.push_back(std::move(item));
  return field;
}

Field map_of(std::string name, std::string meaning, Field item) {
  Field field = plain(std::move(name), FieldKind::kMap, std::move(meaning));
  field.fields.push_back(std::move(item));
  return field;
}

Status check_output(const OutputShape& shape, const Json& value) {
  OutputCheck check(shape.command);
  if (shape.form == OutputForm::kTexts) {
    return check.check(list_of("", "", text("")), value, "");
  }
  const Field row = object("", "", shape.fields);
  const bool is_list =
      shape.form == OutputForm::kList ||
      (shape.form == OutputForm::kObjectOrList && value.is_array());
  return check.check(is_list ? list_of("", "", row) : row, value, "");
}

}  // namespace tessera::cli
