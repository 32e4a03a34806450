// SPDX-License-Identifier: Apache-2.0

#include "framework/model/json_document.hpp"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "framework/base/mapped_file.hpp"

namespace tessera {
namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 64;

// Builds the document event by event.  nlohmann's own builder lets the last of
// two equal keys win and bounds no depth.
class Builder final : public nlohmann::json_sax<json> {
 public:
  Builder() : root_(nullptr) {}
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  bool null() override { return add(nullptr) != nullptr; }
  bool boolean(bool value) override { return add(value) != nullptr; }
  bool number_integer(int64_t value) override { return add(value) != nullptr; }
  bool number_unsigned(uint64_t value) override {
    return add(value) != nullptr;
  }
  bool number_float(double value, const std::string& /*text*/) override {
    return add(value) != nullptr;
  }
  bool string(std::string& value) override {
    return add(std::move(value)) != nullptr;
  }
  bool binary(json::binary_t& /*value*/) override { return false; }

  bool start_object(size_t /*size*/) override { return open(json::object()); }
  bool start_array(size_t /*size*/) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& value) override {
    const auto [place, is_new] = open_.back()->emplace(value, nullptr);
    if (!is_new) {
      error_ = fmt::format("key \"{}\" stands twice in one object", value);
      return false;
    }
    member_ = &*place;
    return true;
  }

  bool parse_error(size_t position, const std::string& /*token*/,
                   const json::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    const std::string_view what = error.what();
    const size_t end = what.find("] ");
    error_ = fmt::format("byte {}: {}", position,
                         what.substr(end == what.npos ? 0 : end + 2, 200));
    return false;
  }

  json take() { return std::move(root_); }
  const std::string& error() const { return error_; }

 private:
  // Puts `value` where the next one belongs; null if nothing may stand there.
  json* add(json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_object()) {
      *member_ = std::move(value);
      return member_;
    }
    open_.back()->push_back(std::move(value));
    return &open_.back()->back();
  }

  bool open(json value) {
    if (open_.size() == kMaxDepth) {
      error_ = fmt::format("nests deeper than {} levels", kMaxDepth);
      return false;
    }
    open_.push_back(add(std::move(value)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  json root_;
  std::vector<json*> open_;  // the arrays and objects being filled
  json* member_ = nullptr;   // the value of the last key
  std::string error_;
};

}  // namespace

Result<json> parse_json(std::string_view text, const std::string& source) {
  Builder builder;
  if (!json::sax_parse(text.begin(), text.end(), &builder)) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{}: not JSON: {}", source, builder.error()));
  }
  return builder.take();
}

Result<json> read_json(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  const std::span<const std::byte> bytes = file.bytes();
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                    path);
}

}  // namespace tessera
