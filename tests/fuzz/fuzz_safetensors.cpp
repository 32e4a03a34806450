// SPDX-License-Identifier: Apache-2.0
//
// Hostile safetensors files.

#include <cstring>
#include <functional>
#include <span>

#include "framework/model/safetensors.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace {

// Length, header and data, as they lie in a file.
std::string file_bytes(std::string_view header, std::string_view data) {
  const uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes.append(header).append(data);
}

void check(std::string_view bytes) {
  const auto file =
      tessera::Safetensors::parse(std::as_bytes(std::span(bytes)), "fuzz");
  if (!file.ok()) {
    tessera::promise(!file.status().message().empty(), "errors explain");
    return;
  }
  const char* const end = bytes.data() + bytes.size();
  for (const tessera::TensorView& view : file->tensors()) {
    const char* const data = reinterpret_cast<const char*>(view.data.data());
    tessera::promise(std::greater_equal<>()(data, bytes.data()) &&
                         std::less_equal<>()(data + view.data.size(), end),
                     "views lie in the file");
    tessera::promise(file->find(view.name) == &view, "tensors are found");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(bytes);
  // Again with a length that fits, or few mutations would reach the header.
  const size_t close = bytes.rfind('}');
  if (size > 8 && close != bytes.npos && close >= 8) {
    check(file_bytes(bytes.substr(8, close - 7), bytes.substr(close + 1)));
  }
  return 0;
}

std::vector<std::string> tessera::fuzz_seeds() {
  return {
      file_bytes("{}", ""),
      file_bytes(R"({"__metadata__":{"format":"pt","a":"b"},)"
                 R"("b":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}})",
                 "12345678"),
      file_bytes(R"({"t":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},)"
                 R"("u":{"dtype":"F4","shape":[4],"data_offsets":[4,6]},)"
                 R"("e":{"dtype":"I64","shape":[0],"data_offsets":[4,4]}})",
                 "123456"),
  };
}
