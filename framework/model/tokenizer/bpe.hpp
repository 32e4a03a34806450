// SPDX-License-Identifier: Apache-2.0
//
// The "model" of tokenizer.json: byte pair encoding, over characters or over
// the byte alphabet.

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/json_object.hpp"

namespace tessera {

class Bpe {
 public:
  Bpe() = default;
  // Moves only: tokens_ points into ids_.
  Bpe(Bpe&&) = default;
  Bpe& operator=(Bpe&&) = default;

  // Errors  UNIMPLEMENTED if the model is not BPE, or has dropout, a
  //         continuing_subword_prefix or an end_of_word_suffix
  //         INVALID_ARGUMENT if a member is wrong, two tokens share an id, or a
  //         merge names a token that is not in the vocabulary
  static Result<Bpe> from_json(const nlohmann::json& value,
                               const std::string& where);

  // Appends the ids of one word.  A character that is not in the vocabulary
  // becomes its bytes <0xNN> where byte_fallback has them, or else unk_token,
  // or else nothing; so does a byte that is part of no character.
  // O(n log n).
  void encode(std::string_view word, std::vector<int32_t>& out_ids) const;

  std::optional<int32_t> id_of(std::string_view token) const;
  // Null if no token has this id.
  const std::string* token_of(int32_t id) const;

  // One more than the largest id.
  int32_t id_bound() const { return id_bound_; }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  struct Merge {
    uint32_t rank;
    int32_t id;
  };
  struct Symbol {
    int32_t id;
    int32_t prev;
    int32_t next;
  };
  struct Candidate {
    uint32_t rank;
    int32_t position;
    int32_t id;
  };

  Status read_options(const JsonObject& model);
  Status read_vocab(const JsonObject& model);
  Status read_merges(const JsonObject& model);
  Status add_merge(const std::pair<std::string_view, std::string_view>& pair,
                   uint32_t rank, const JsonObject& model);

  const Merge* find_merge(int32_t left, int32_t right) const;
  std::vector<Symbol> first_symbols(std::string_view word) const;
  bool add_bytes(std::string_view bytes, std::vector<int32_t>& ids) const;
  void merge_all(std::vector<Symbol>& symbols) const;

  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> ids_;
  std::unordered_map<int32_t, const std::string*> tokens_;  // keys of ids_
  std::unordered_map<uint64_t, Merge> merges_;  // (left << 32) | right
  std::array<int32_t, 256> byte_ids_{};         // of <0xNN>; -1: none
  int32_t id_bound_ = 0;
  std::optional<int32_t> unk_id_;
  bool fuse_unk_ = false;
  bool byte_fallback_ = false;
  bool ignore_merges_ = false;
};

}  // namespace tessera
