// SPDX-License-Identifier: Apache-2.0

#include "framework/model/gguf/export.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "framework/model/chat/chat_template.hpp"
#include "framework/model/gguf/names.hpp"
#include "framework/model/json_document.hpp"
#include "framework/model/json_object.hpp"
#include "framework/model/rope.hpp"

namespace tessera {
namespace {

using nlohmann::json;

constexpr uint32_t kQuantizationVersion = 2;

// Source  llama.cpp, gguf-py, constants.py, TokenType
constexpr int32_t kNormal = 1;
constexpr int32_t kUnknown = 2;
constexpr int32_t kControl = 3;
constexpr int32_t kUserDefined = 4;
constexpr int32_t kUnused = 5;
constexpr int32_t kByte = 6;

const char* architecture_name(ModelFamily family) {
  switch (family) {
    case ModelFamily::kLlama:
      return "llama";
    case ModelFamily::kQwen2:
      return "qwen2";
    case ModelFamily::kQwen3:
      return "qwen3";
  }
  return "llama";
}

// Readers derive the attention factor from `factor`.
Status add_yarn(const RopeConfig& rope, const std::string& scaling,
                GgufMetadata& out) {
  const bool own_factor = rope.attention_factor || rope.mscale != 0.0 ||
                          rope.mscale_all_dim != 0.0 || !rope.truncate;
  if (own_factor) {
    return {TSR_UNIMPLEMENTED,
            "GGUF has no metadata for YaRN with attention_factor, mscale or "
            "truncate"};
  }
  out.add_string(scaling + "type", "yarn");
  out.add_f32(scaling + "factor", static_cast<float>(rope.factor));
  out.add_u32(scaling + "original_context_length", rope.original_max_positions);
  out.add_f32(scaling + "yarn_beta_fast", static_cast<float>(rope.beta_fast));
  out.add_f32(scaling + "yarn_beta_slow", static_cast<float>(rope.beta_slow));
  return {};
}

Status add_rope(const ModelConfig& config, const std::string& arch,
                GgufMetadata& out) {
  const RopeConfig& rope = config.rope;
  out.add_u32(arch + ".rope.dimension_count", config.head_dim);
  out.add_f32(arch + ".rope.freq_base", static_cast<float>(rope.theta));
  const std::string scaling = arch + ".rope.scaling.";
  switch (rope.type) {
    case RopeType::kDefault:
    case RopeType::kLlama3:  // all of it is in gguf_tables()
      return {};
    case RopeType::kLinear:
      out.add_string(scaling + "type", "linear");
      out.add_f32(scaling + "factor", static_cast<float>(rope.factor));
      return {};
    case RopeType::kYarn:
      return add_yarn(rope, scaling, out);
    case RopeType::kDynamic:
      break;
  }
  return {TSR_UNIMPLEMENTED, "GGUF has no metadata for dynamic RoPE scaling"};
}

Status add_sizes(const ModelConfig& config, GgufMetadata& out) {
  const std::string arch = architecture_name(config.family);
  out.add_string("general.architecture", arch);
  out.add_u32(arch + ".block_count", config.num_layers);
  out.add_u32(arch + ".context_length", config.max_positions);
  out.add_u32(arch + ".embedding_length", config.hidden_size);
  out.add_u32(arch + ".feed_forward_length", config.intermediate_size);
  out.add_u32(arch + ".attention.head_count", config.num_q_heads);
  out.add_u32(arch + ".attention.head_count_kv", config.num_kv_heads);
  out.add_u32(arch + ".attention.key_length", config.head_dim);
  out.add_u32(arch + ".attention.value_length", config.head_dim);
  out.add_f32(arch + ".attention.layer_norm_rms_epsilon", config.rms_eps);
  out.add_u32(arch + ".vocab_size", config.vocab_size);
  if (config.model_type == "mistral" && !config.layer_windows.empty() &&
      config.layer_windows[0] > 0) {
    out.add_u32(arch + ".attention.sliding_window", config.layer_windows[0]);
  }
  return add_rope(config, arch, out);
}

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  std::map<std::string, size_t> ids;
};

bool is_byte_token(const std::string& token) {
  return token.size() == 6 && token.starts_with("<0x") && token.ends_with('>');
}

Status add_token(Vocabulary& vocabulary, const std::string& token, int64_t id,
                 int32_t type) {
  if (id < 0 || static_cast<uint64_t>(id) >= vocabulary.tokens.size()) {
    return {TSR_INVALID_ARGUMENT,
            fmt::format("tokenizer.json: token {} has id {}, but vocab_size "
                        "is {}",
                        token, id, vocabulary.tokens.size())};
  }
  const auto at = static_cast<size_t>(id);
  vocabulary.tokens[at] = token;
  vocabulary.types[at] = type;
  vocabulary.ids[token] = at;
  return {};
}

// Every id up to vocab_size has a token: those that nothing names are unused.
Result<Vocabulary> read_vocabulary(const JsonObject& document,
                                   const JsonObject& model,
                                   uint32_t vocab_size) {
  Vocabulary vocabulary;
  vocabulary.types.assign(vocab_size, kUnused);
  for (uint32_t id = 0; id < vocab_size; ++id) {
    vocabulary.tokens.push_back(fmt::format("[PAD{}]", id));
  }
  TSR_ASSIGN_OR_RETURN(const JsonObject vocab, model.object("vocab"));
  for (const auto& [token, value] : model.find("vocab")->items()) {
    TSR_ASSIGN_OR_RETURN(const int64_t id, vocab.integer(token, {0, 1 << 26}));
    TSR_RETURN_IF_ERROR(add_token(vocabulary, token, id,
                                  is_byte_token(token) ? kByte : kNormal));
  }
  TSR_ASSIGN_OR_RETURN(const json* const added, document.array("added_tokens"));
  TSR_ASSIGN_OR_RETURN(const std::string unknown,
                       model.string("unk_token", ""));
  if (added == nullptr) return vocabulary;
  for (const json& item : *added) {
    TSR_ASSIGN_OR_RETURN(const JsonObject token,
                         JsonObject::from(item, "tokenizer.json: added token"));
    TSR_ASSIGN_OR_RETURN(const std::string content, token.string("content"));
    TSR_ASSIGN_OR_RETURN(const int64_t id, token.integer("id", {0, 1 << 26}));
    TSR_ASSIGN_OR_RETURN(const bool special, token.boolean("special", false));
    const int32_t type = content == unknown ? kUnknown
                         : special          ? kControl
                                            : kUserDefined;
    TSR_RETURN_IF_ERROR(add_token(vocabulary, content, id, type));
  }
  return vocabulary;
}

// "a b" for both spellings of a merge.
Result<std::vector<std::string>> read_merges(const JsonObject& model) {
  TSR_ASSIGN_OR_RETURN(const json* const list, model.array("merges"));
  std::vector<std::string> merges;
  if (list == nullptr) return merges;
  for (const json& merge : *list) {
    if (merge.is_string()) {
      merges.push_back(merge.get<std::string>());
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      merges.push_back(merge[0].get<std::string>() + " " +
                       merge[1].get<std::string>());
    } else {
      return model.error("merges", "holds something else than pairs");
    }
  }
  return merges;
}

// A token's score falls with the rank of the first merge that makes it.
std::vector<float> scores_of(const Vocabulary& vocabulary,
                             const std::vector<std::string>& merges) {
  std::vector<float> scores(vocabulary.tokens.size(), 0.0f);
  for (size_t rank = merges.size(); rank-- > 0;) {
    std::string token = merges[rank];
    token.erase(token.find(' '), 1);
    const auto found = vocabulary.ids.find(token);
    if (found == vocabulary.ids.end()) continue;
    scores[found->second] = -static_cast<float>(rank + 1);
  }
  return scores;
}

// The name by which llama.cpp knows how words are cut.
const char* pre_tokenizer_name(const std::string& document) {
  if (document.find(R"(\\p{N}{1,3})") != document.npos) return "llama-bpe";
  if (document.find(R"(\\p{L}+|\\p{N}|)") != document.npos) return "qwen2";
  return "gpt-2";
}

// Whether a template of the post-processor, or of its parts, puts a special
// token first.
bool begins_with_special(const json& processor) {
  if (!processor.is_object()) return false;
  if (const auto single = processor.find("single"); single != processor.end()) {
    return single->is_array() && !single->empty() &&
           single->front().contains("SpecialToken");
  }
  const auto parts = processor.find("processors");
  return parts != processor.end() &&
         std::any_of(parts->begin(), parts->end(), begins_with_special);
}

Status add_tokenizer(const ModelConfig& config, const std::string& folder,
                     GgufMetadata& out) {
  TSR_ASSIGN_OR_RETURN(const json parsed,
                       read_json(folder + "/tokenizer.json"));
  TSR_ASSIGN_OR_RETURN(const JsonObject document,
                       JsonObject::from(parsed, folder + "/tokenizer.json"));
  TSR_ASSIGN_OR_RETURN(const JsonObject model, document.object("model"));
  TSR_ASSIGN_OR_RETURN(const Vocabulary vocabulary,
                       read_vocabulary(document, model, config.vocab_size));
  TSR_ASSIGN_OR_RETURN(const std::vector<std::string> merges,
                       read_merges(model));
  TSR_ASSIGN_OR_RETURN(const bool has_bytes,
                       model.boolean("byte_fallback", false));
  const json* const cutter = document.find("pre_tokenizer");
  const std::string words = cutter == nullptr ? "" : cutter->dump();
  if (has_bytes) {
    out.add_string("tokenizer.ggml.model", "llama");
    out.add_f32s("tokenizer.ggml.scores", scores_of(vocabulary, merges));
    out.add_bool("tokenizer.ggml.add_space_prefix", true);
  } else if (words.find("ByteLevel") != words.npos) {
    out.add_string("tokenizer.ggml.model", "gpt2");
    out.add_string("tokenizer.ggml.pre", pre_tokenizer_name(words));
    out.add_strings("tokenizer.ggml.merges", merges);
  } else {
    return {TSR_UNIMPLEMENTED, folder +
                                   ": GGUF has no name for a tokenizer that is "
                                   "neither byte-level nor with byte fallback"};
  }
  out.add_strings("tokenizer.ggml.tokens", vocabulary.tokens);
  out.add_i32s("tokenizer.ggml.token_type", vocabulary.types);
  const auto unknown =
      std::find(vocabulary.types.begin(), vocabulary.types.end(), kUnknown);
  if (unknown != vocabulary.types.end()) {
    out.add_u32("tokenizer.ggml.unknown_token_id",
                static_cast<uint32_t>(unknown - vocabulary.types.begin()));
  }
  const json* const around = document.find("post_processor");
  out.add_bool("tokenizer.ggml.add_bos_token",
               around != nullptr && begins_with_special(*around));
  out.add_bool("tokenizer.ggml.add_eos_token", false);
  return {};
}

Status add_token_ids(const ModelConfig& config, const std::string& folder,
                     GgufMetadata& out) {
  // Readers stop at each of these.
  constexpr const char* kEnds[] = {"eos", "eot", "eom"};
  const auto add = [&out](const std::string& name, int64_t id) {
    out.add_u32("tokenizer.ggml." + name + "_token_id",
                static_cast<uint32_t>(id));
  };
  if (config.eos_ids.size() > std::size(kEnds)) {
    return {TSR_UNIMPLEMENTED,
            fmt::format("GGUF has keys for {} tokens that end a text, not {}",
                        std::size(kEnds), config.eos_ids.size())};
  }
  if (config.bos_id) add("bos", *config.bos_id);
  for (size_t i = 0; i < config.eos_ids.size(); ++i) {
    add(kEnds[i], config.eos_ids[i]);
  }
  TSR_ASSIGN_OR_RETURN(const json parsed, read_json(folder + "/config.json"));
  TSR_ASSIGN_OR_RETURN(const JsonObject settings,
                       JsonObject::from(parsed, folder + "/config.json"));
  const json* const padding = settings.find("pad_token_id");
  if (padding == nullptr || padding->is_null()) return {};
  TSR_ASSIGN_OR_RETURN(const int64_t id,
                       settings.integer("pad_token_id", {-1, INT32_MAX}));
  if (id >= 0 && id < config.vocab_size) add("padding", id);
  return {};
}

Status add_chat_template(const std::string& folder, GgufMetadata& out) {
  TSR_ASSIGN_OR_RETURN(const std::string jinja, chat_template_text(folder));
  if (!jinja.empty()) out.add_string("tokenizer.chat_template", jinja);
  return {};
}

std::string name_of_folder(const std::string& folder) {
  const std::filesystem::path path = std::filesystem::path(folder) / "";
  return path.parent_path().filename().string();
}

}  // namespace

Result<GgufMetadata> gguf_metadata(const ModelConfig& config,
                                   const std::string& folder,
                                   uint32_t file_type) {
  GgufMetadata out;
  TSR_RETURN_IF_ERROR(add_sizes(config, out));
  out.add_string("general.type", "model");
  out.add_string("general.name", name_of_folder(folder));
  out.add_u32("general.file_type", file_type);
  out.add_u32("general.quantization_version", kQuantizationVersion);
  TSR_RETURN_IF_ERROR(add_tokenizer(config, folder, out));
  TSR_RETURN_IF_ERROR(add_token_ids(config, folder, out));
  TSR_RETURN_IF_ERROR(add_chat_template(folder, out));
  return out;
}

std::vector<GgufTable> gguf_tables(const ModelConfig& config) {
  if (config.rope.type != RopeType::kLlama3) return {};
  ModelConfig plain = config;
  plain.rope.type = RopeType::kDefault;
  const RopeFrequencies unscaled = rope_frequencies(plain, 1);
  const RopeFrequencies scaled = rope_frequencies(config, 1);
  GgufTable table{"rope_freqs.weight", {}};
  for (size_t i = 0; i < scaled.inverse.size(); ++i) {
    table.values.push_back(
        static_cast<float>(unscaled.inverse[i] / scaled.inverse[i]));
  }
  return {std::move(table)};
}

std::vector<std::byte> interleave_rows(std::span<const std::byte> bytes,
                                       uint32_t rows, uint32_t heads) {
  const std::vector<uint32_t> order = interleaved_rows(rows, heads);
  const size_t row_bytes = bytes.size() / rows;
  std::vector<std::byte> result(bytes.size());
  for (uint32_t row = 0; row < rows; ++row) {
    std::memcpy(result.data() + row * row_bytes,
                bytes.data() + order[row] * row_bytes, row_bytes);
  }
  return result;
}

}  // namespace tessera
