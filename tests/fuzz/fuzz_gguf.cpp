// SPDX-License-Identifier: Apache-2.0
//
// Hostile GGUF files.

#include <cstring>
#include <functional>
#include <span>

#include "framework/model/gguf/gguf.hpp"
#include "framework/model/gguf/model.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace {

// Fields one after another, as they lie in a file.
class FileText {
 public:
  template <typename T>
  FileText& put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  FileText& text(std::string_view value) {
    put<uint64_t>(value.size());
    bytes_.append(value);
    return *this;
  }
  FileText& pad(size_t alignment) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
    return *this;
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Two keys, an array of strings, and tensors in two types.
std::string small_file(uint32_t version) {
  FileText file;
  file.put<uint32_t>(0x46554747).put(version);
  file.put<uint64_t>(2).put<uint64_t>(3);
  file.text("general.architecture").put<uint32_t>(8).text("llama");
  file.text("general.alignment").put<uint32_t>(4).put<uint32_t>(32);
  file.text("tokenizer.ggml.tokens").put<uint32_t>(9).put<uint32_t>(8);
  file.put<uint64_t>(2).text("a").text("b");
  file.text("token_embd.weight").put<uint32_t>(2).put<uint64_t>(2);
  file.put<uint64_t>(3).put<uint32_t>(0).put<uint64_t>(0);
  file.text("blk.0.attn_q.weight").put<uint32_t>(2).put<uint64_t>(32);
  file.put<uint64_t>(1).put<uint32_t>(2).put<uint64_t>(32);
  file.pad(32);
  for (int i = 0; i < 50; ++i) file.put<uint8_t>(static_cast<uint8_t>(i));
  return file.take();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto file = tessera::Gguf::parse(bytes, "fuzz");
  if (!file.ok()) {
    tessera::promise(!file.status().message().empty(), "errors explain");
    return 0;
  }
  const std::byte* const end = bytes.data() + bytes.size();
  for (const tessera::GgufTensor& tensor : file->tensors()) {
    const auto data_bytes = tensor.data;
    if (data_bytes.empty()) continue;
    tessera::promise(
        std::greater_equal<>()(data_bytes.data(), bytes.data()) &&
            std::less_equal<>()(data_bytes.data() + data_bytes.size(), end),
        "views lie in the file");
  }
  const auto config = tessera::gguf_config(*file);
  const auto tokenizer = tessera::gguf_tokenizer(*file);
  const auto tensors = tessera::gguf_tensors(*file, 2);
  return 0;
}

std::vector<std::string> tessera::fuzz_seeds() {
  return {small_file(2), small_file(3)};
}
