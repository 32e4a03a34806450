// SPDX-License-Identifier: Apache-2.0
//
// What the tokenizers library gave for many texts; see
// tests/data/tokenizer/make_tokenizer_cases.py.

#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace tessera {

// One tokenizer.json and its expected values.
struct TokenizerCase {
  std::string name;
  std::string tokenizer;  // path
  std::string encoded;    // path of a .jsonl: text, ids, decoded
  std::string decoded;    // path of a .jsonl: ids, decoded, skipped

  friend void PrintTo(const TokenizerCase& c, std::ostream* out) {
    *out << c.name;
  }
};

inline std::vector<TokenizerCase> tokenizer_cases() {
  const std::string source = TSR_SOURCE_DIR;
  const std::string data = source + "/tests/data/tokenizer/";
  const std::string shared = source + "/../shared/models/";
  const auto model = [&](const std::string& name, const std::string& folder) {
    return TokenizerCase{name, folder + "/tokenizer.json",
                         data + name + ".jsonl", data + name + ".decode.jsonl"};
  };
  const auto synthetic = [&](const std::string& name) {
    const std::string folder = data + "synthetic/" + name;
    return TokenizerCase{name, folder + "/tokenizer.json",
                         folder + "/cases.jsonl", folder + "/decode.jsonl"};
  };
  return {model("tessera-5m", source + "/models/tessera-5m"),
          model("stories260K", shared + "stories260K"),
          model("tinystories656k", shared + "tinystories656k"),
          synthetic("gpt2"),
          synthetic("llama3"),
          synthetic("qwen2"),
          synthetic("llama2"),
          synthetic("llama2-unk"),
          synthetic("mistral")};
}

// For test names, which take no dashes.
inline std::string case_name(const std::string& name) {
  std::string result = name;
  std::replace(result.begin(), result.end(), '-', '_');
  return result;
}

inline std::vector<nlohmann::json> read_lines(const std::string& path) {
  std::vector<nlohmann::json> rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) rows.push_back(nlohmann::json::parse(line));
  }
  return rows;
}

}  // namespace tessera
