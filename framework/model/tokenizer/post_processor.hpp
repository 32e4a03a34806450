// SPDX-License-Identifier: Apache-2.0
//
// The "post_processor" of tokenizer.json: the special tokens around a text.

#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/json_object.hpp"

namespace tessera {

class PostProcessor {
 public:
  // TemplateProcessing, ByteLevel (which moves offsets only), a Sequence of
  // them, or null.
  //
  // Errors  UNIMPLEMENTED, naming the type, for any other, or if a template
  //         does not have the text exactly once
  //         INVALID_ARGUMENT if a member is wrong
  static Result<PostProcessor> from_json(const nlohmann::json& value,
                                         const std::string& where);

  // What stands before and after a single text.
  const std::vector<int32_t>& prefix() const { return prefix_; }
  const std::vector<int32_t>& suffix() const { return suffix_; }

 private:
  Status add_steps(const nlohmann::json& value, const std::string& where);
  Status add_template(const JsonObject& step);

  std::vector<int32_t> prefix_;
  std::vector<int32_t> suffix_;
};

}  // namespace tessera
