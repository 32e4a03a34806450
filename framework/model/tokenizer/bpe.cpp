// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/bpe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <queue>

#include "framework/model/tokenizer/utf8.hpp"

namespace tessera {
namespace {

using nlohmann::json;

// Far above any vocabulary, and small enough for dense tables of logits.
constexpr int64_t kMaxId = (int64_t{1} << 26) - 1;

// "a b", as before tokenizers 0.20, or ["a", "b"].
std::optional<std::pair<std::string_view, std::string_view>> read_pair(
    const json& merge) {
  if (merge.is_string()) {
    const std::string_view text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space == text.npos || text.find(' ', space + 1) != text.npos) return {};
    return std::pair(text.substr(0, space), text.substr(space + 1));
  }
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
      merge[1].is_string()) {
    return std::pair<std::string_view, std::string_view>(
        merge[0].get_ref<const std::string&>(),
        merge[1].get_ref<const std::string&>());
  }
  return {};
}

uint64_t pair_key(int32_t left, int32_t right) {
  return (uint64_t{static_cast<uint32_t>(left)} << 32) |
         static_cast<uint32_t>(right);
}

}  // namespace

Status Bpe::read_options(const JsonObject& model) {
  TSR_ASSIGN_OR_RETURN(const std::string type, model.string("type", "BPE"));
  if (type != "BPE") {
    return Status(
        TSR_UNIMPLEMENTED,
        fmt::format("{}: {} is not supported; BPE is", model.where(), type));
  }
  TSR_ASSIGN_OR_RETURN(const double dropout, model.number("dropout", 0.0));
  if (dropout != 0.0) {
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("{}: dropout={} is not supported; 0 is",
                              model.where(), dropout));
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    TSR_ASSIGN_OR_RETURN(const std::string affix, model.string(key, ""));
    if (!affix.empty()) {
      return Status(TSR_UNIMPLEMENTED,
                    fmt::format("{}: {}=\"{}\" is not supported; none is",
                                model.where(), key, affix));
    }
  }
  TSR_ASSIGN_OR_RETURN(fuse_unk_, model.boolean("fuse_unk", false));
  TSR_ASSIGN_OR_RETURN(byte_fallback_, model.boolean("byte_fallback", false));
  TSR_ASSIGN_OR_RETURN(ignore_merges_, model.boolean("ignore_merges", false));
  return {};
}

Status Bpe::read_vocab(const JsonObject& model) {
  TSR_ASSIGN_OR_RETURN(const JsonObject vocab, model.object("vocab"));
  const json& entries = *model.find("vocab");
  ids_.reserve(entries.size());
  tokens_.reserve(entries.size());
  for (const auto& [token, value] : entries.items()) {
    TSR_ASSIGN_OR_RETURN(const int64_t wide, vocab.integer(token, {0, kMaxId}));
    const auto id = static_cast<int32_t>(wide);
    const auto place = ids_.emplace(token, id).first;
    const auto [other, is_new] = tokens_.emplace(id, &place->first);
    if (!is_new) {
      return vocab.error(
          token, fmt::format("has id {}, as has {}", id, *other->second));
    }
    id_bound_ = std::max(id_bound_, id + 1);
  }
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    byte_ids_[byte] = id_of(fmt::format("<0x{:02X}>", byte)).value_or(-1);
  }
  TSR_ASSIGN_OR_RETURN(const std::string unk, model.string("unk_token", ""));
  if (!unk.empty()) {
    unk_id_ = id_of(unk);
    if (!unk_id_) {
      return model.error("unk_token",
                         fmt::format("{} is not in the vocabulary", unk));
    }
  }
  return {};
}

Status Bpe::add_merge(const std::pair<std::string_view, std::string_view>& pair,
                      uint32_t rank, const JsonObject& model) {
  const auto missing = [&](std::string_view token) {
    return model.error("merges", fmt::format("entry {} needs {}, which is not "
                                             "in the vocabulary",
                                             rank, token));
  };
  const auto left = id_of(pair.first);
  if (!left) return missing(pair.first);
  const auto right = id_of(pair.second);
  if (!right) return missing(pair.second);
  const std::string joined = std::string(pair.first) + std::string(pair.second);
  const auto merged = id_of(joined);
  if (!merged) return missing(joined);
  // Of equal pairs the last one counts, as in the tokenizers library.
  merges_[pair_key(*left, *right)] = {rank, *merged};
  return {};
}

Status Bpe::read_merges(const JsonObject& model) {
  TSR_ASSIGN_OR_RETURN(const json* const list, model.array("merges"));
  if (list == nullptr) return model.error("merges", "is missing");
  merges_.reserve(list->size());
  uint32_t rank = 0;
  for (const json& merge : *list) {
    const auto pair = read_pair(merge);
    if (!pair) {
      return model.error("merges",
                         fmt::format("entry {} is not a pair of tokens", rank));
    }
    TSR_RETURN_IF_ERROR(add_merge(*pair, rank, model));
    ++rank;
  }
  return {};
}

Result<Bpe> Bpe::from_json(const json& value, const std::string& where) {
  TSR_ASSIGN_OR_RETURN(const JsonObject model, JsonObject::from(value, where));
  Bpe bpe;
  TSR_RETURN_IF_ERROR(bpe.read_options(model));
  TSR_RETURN_IF_ERROR(bpe.read_vocab(model));
  TSR_RETURN_IF_ERROR(bpe.read_merges(model));
  return bpe;
}

std::optional<int32_t> Bpe::id_of(std::string_view token) const {
  const auto it = ids_.find(token);
  if (it == ids_.end()) return {};
  return it->second;
}

const std::string* Bpe::token_of(int32_t id) const {
  const auto it = tokens_.find(id);
  return it == tokens_.end() ? nullptr : it->second;
}

const Bpe::Merge* Bpe::find_merge(int32_t left, int32_t right) const {
  const auto it = merges_.find(pair_key(left, right));
  return it == merges_.end() ? nullptr : &it->second;
}

// All bytes or none.
bool Bpe::add_bytes(std::string_view bytes, std::vector<int32_t>& ids) const {
  const auto id = [this](char byte) {
    return byte_ids_[static_cast<unsigned char>(byte)];
  };
  if (!std::all_of(bytes.begin(), bytes.end(),
                   [&id](char byte) { return id(byte) >= 0; })) {
    return false;
  }
  for (const char byte : bytes) ids.push_back(id(byte));
  return true;
}

// One symbol per character, linked in order.
std::vector<Bpe::Symbol> Bpe::first_symbols(std::string_view word) const {
  std::vector<int32_t> ids;
  ids.reserve(word.size());
  bool unk_waits = false;
  while (!word.empty()) {
    const Utf8Char c = first_char(word);
    const std::string_view bytes = word.substr(0, c.bytes);
    word.remove_prefix(c.bytes);
    if (const auto it = c.is_valid ? ids_.find(bytes) : ids_.end();
        it != ids_.end()) {
      if (unk_waits) ids.push_back(*unk_id_);
      unk_waits = false;
      ids.push_back(it->second);
    } else if (byte_fallback_ && add_bytes(bytes, ids)) {
      // As in the tokenizers library, a waiting unknown token goes on waiting.
    } else if (unk_id_) {
      if (unk_waits && !fuse_unk_) ids.push_back(*unk_id_);
      unk_waits = true;
    }
  }
  if (unk_waits) ids.push_back(*unk_id_);

  std::vector<Symbol> symbols;
  symbols.reserve(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto position = static_cast<int32_t>(i);
    symbols.push_back({ids[i], position - 1, position + 1});
  }
  if (!symbols.empty()) symbols.back().next = -1;
  return symbols;
}

// Merges the pair of the lowest rank, the leftmost of equals, until none is
// left.  A symbol that was merged into the one before it gets id -1.
void Bpe::merge_all(std::vector<Symbol>& symbols) const {
  const auto is_later = [](const Candidate& a, const Candidate& b) {
    return std::pair(a.rank, a.position) > std::pair(b.rank, b.position);
  };
  std::vector<Candidate> initial;
  initial.reserve(symbols.size());
  for (size_t i = 0; i + 1 < symbols.size(); ++i) {
    const Merge* merge = find_merge(symbols[i].id, symbols[i + 1].id);
    if (merge != nullptr) {
      initial.push_back({merge->rank, static_cast<int32_t>(i), merge->id});
    }
  }
  std::priority_queue queue(is_later, std::move(initial));

  const auto offer = [&](int32_t left) {
    const Symbol& symbol = symbols[static_cast<size_t>(left)];
    const Symbol& right = symbols[static_cast<size_t>(symbol.next)];
    const Merge* merge = find_merge(symbol.id, right.id);
    if (merge != nullptr) queue.push({merge->rank, left, merge->id});
  };

  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[static_cast<size_t>(best.position)];
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    // The neighbours may have changed since the candidate was queued.
    const Merge* merge = find_merge(left.id, right.id);
    if (merge == nullptr || merge->id != best.id) continue;

    left.id = best.id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) {
      symbols[static_cast<size_t>(left.next)].prev = best.position;
    }
    if (left.prev >= 0) offer(left.prev);
    if (left.next >= 0) offer(best.position);
  }
}

void Bpe::encode(std::string_view word, std::vector<int32_t>& out_ids) const {
  if (ignore_merges_) {
    if (const auto id = id_of(word)) {
      out_ids.push_back(*id);
      return;
    }
  }
  std::vector<Symbol> symbols = first_symbols(word);
  merge_all(symbols);
  for (const Symbol& symbol : symbols) {
    if (symbol.id >= 0) out_ids.push_back(symbol.id);
  }
}

}  // namespace tessera
