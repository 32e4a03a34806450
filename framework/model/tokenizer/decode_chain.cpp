// SPDX-License-Identifier: Apache-2.0
//
// The stages of a DecodeChain.  Tokens travel as chunks, so that a stage which
// fuses tokens need not wait for the last of them.

#include <cctype>
#include <optional>
#include <utility>

#include "framework/model/tokenizer/byte_alphabet.hpp"
#include "framework/model/tokenizer/decoder.hpp"

namespace tessera {
namespace {

// Part of a token; a whole one both starts and ends.
struct Chunk {
  std::string text;
  bool starts = true;
  bool ends = true;
};

}  // namespace

// Takes chunks and gives chunks to the stage after it.
class DecodeChain::Stage {
 public:
  virtual ~Stage() = default;
  virtual void feed(Chunk chunk) = 0;
  // No more chunks in this text.  Afterwards as new.
  virtual void finish() {}

  void set_next(Stage* next) { next_ = next; }

 protected:
  void pass(Chunk chunk) {
    if (next_ != nullptr) next_->feed(std::move(chunk));
  }

 private:
  Stage* next_ = nullptr;
};

namespace {

using Stage = DecodeChain::Stage;

// A stage that must see whole tokens.
class TokenStage : public Stage {
 public:
  void feed(Chunk chunk) final {
    held_ += chunk.text;
    if (!chunk.ends) return;
    token(std::exchange(held_, {}));
  }

 protected:
  virtual void token(std::string text) = 0;

 private:
  std::string held_;
};

class ReplaceStage final : public TokenStage {
 public:
  explicit ReplaceStage(const DecodeReplace& step) : step_(step) {}

 private:
  void token(std::string text) override {
    // A pattern that gives up leaves the token as it is: decoding cannot fail.
    Result<std::string> replaced =
        step_.pattern.replace_all(text, step_.content);
    pass({replaced.ok() ? std::move(*replaced) : std::move(text)});
  }

  const DecodeReplace& step_;
};

std::optional<char> byte_token(std::string_view token) {
  const auto digit = [](char c) {
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
  };
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>' ||
      std::isxdigit(static_cast<unsigned char>(token[3])) == 0 ||
      std::isxdigit(static_cast<unsigned char>(token[4])) == 0) {
    return {};
  }
  return static_cast<char>(digit(token[3]) * 16 + digit(token[4]));
}

// Byte tokens in a row form one token of their bytes.
class BytesStage final : public TokenStage {
 public:
  void finish() override { end_run(); }

 private:
  void token(std::string text) override {
    if (const auto byte = byte_token(text)) {
      pass({std::string(1, *byte), !in_run_, false});
      in_run_ = true;
      return;
    }
    end_run();
    pass({std::move(text)});
  }

  void end_run() {
    if (in_run_) pass({"", false, true});
    in_run_ = false;
  }

  bool in_run_ = false;
};

// Makes all tokens one.
class FuseStage final : public Stage {
 public:
  void feed(Chunk chunk) override {
    pass({std::move(chunk.text), std::exchange(is_first_, false), false});
  }

  void finish() override {
    pass({"", is_first_, true});
    is_first_ = true;
  }

 private:
  bool is_first_ = true;
};

// The bytes that each token spells in the byte alphabet; a token with any other
// character stands for itself.
class ByteLevelStage final : public TokenStage {
 private:
  void token(std::string text) override {
    auto bytes = from_byte_alphabet(text);
    pass({bytes ? *std::move(bytes) : std::move(text)});
  }
};

// Drops up to `start` characters at the start of each token.
class StripStartStage final : public Stage {
 public:
  explicit StripStartStage(const DecodeStrip& step) : step_(step) {}

  void feed(Chunk chunk) override {
    if (chunk.starts) left_ = step_.start;
    held_ += chunk.text;
    while (left_ > 0 && held_.starts_with(step_.content)) {
      held_.erase(0, step_.content.size());
      --left_;
    }
    // Part of the character to drop may be all there is so far.
    const bool is_open =
        left_ > 0 && !chunk.ends && step_.content.starts_with(held_);
    if (!is_open) {
      left_ = 0;
      chunk.text = std::exchange(held_, {});
    } else {
      chunk.text.clear();
    }
    pass(std::move(chunk));
  }

 private:
  const DecodeStrip& step_;
  size_t left_ = 0;
  std::string held_;
};

// Drops up to `stop` characters at the end of each token.
class StripStopStage final : public TokenStage {
 public:
  explicit StripStopStage(const DecodeStrip& step) : step_(step) {}

 private:
  void token(std::string text) override {
    for (size_t i = 0; i < step_.stop && text.ends_with(step_.content); ++i) {
      text.resize(text.size() - step_.content.size());
    }
    pass({std::move(text)});
  }

  const DecodeStrip& step_;
};

class MetaspaceStage final : public TokenStage {
 public:
  explicit MetaspaceStage(const Metaspace& metaspace)
      : metaspace_(metaspace), mark_(TextPattern::literal(metaspace.mark)) {}

  void finish() override { is_first_ = true; }

 private:
  void token(std::string text) override {
    const bool drops = is_first_ && metaspace_.scheme != PrependScheme::kNever;
    is_first_ = false;
    Result<std::string> replaced = mark_.replace_all(text, drops ? "" : " ");
    pass({replaced.ok() ? std::move(*replaced) : std::move(text)});
  }

  const Metaspace& metaspace_;
  TextPattern mark_;
  bool is_first_ = true;
};

class JoinStage final : public TokenStage {
 public:
  void finish() override { is_first_ = true; }

 private:
  void token(std::string text) override {
    if (!std::exchange(is_first_, false)) text.insert(0, " ");
    pass({std::move(text)});
  }

  bool is_first_ = true;
};

class CollectStage final : public Stage {
 public:
  void feed(Chunk chunk) override { text_ += chunk.text; }
  std::string take() { return std::exchange(text_, {}); }

 private:
  std::string text_;
};

using Stages = std::vector<std::unique_ptr<Stage>>;

void add_stages(const DecodeStep& step, Stages& stages) {
  if (const auto* replace = std::get_if<DecodeReplace>(&step)) {
    stages.push_back(std::make_unique<ReplaceStage>(*replace));
  } else if (const auto* strip = std::get_if<DecodeStrip>(&step)) {
    if (strip->start > 0) {
      stages.push_back(std::make_unique<StripStartStage>(*strip));
    }
    if (strip->stop > 0) {
      stages.push_back(std::make_unique<StripStopStage>(*strip));
    }
  } else if (const auto* metaspace = std::get_if<DecodeMetaspace>(&step)) {
    stages.push_back(std::make_unique<MetaspaceStage>(metaspace->metaspace));
  } else if (std::holds_alternative<DecodeBytes>(step)) {
    stages.push_back(std::make_unique<BytesStage>());
  } else if (std::holds_alternative<DecodeJoin>(step)) {
    stages.push_back(std::make_unique<JoinStage>());
  } else {
    if (std::holds_alternative<DecodeByteLevel>(step)) {
      stages.push_back(std::make_unique<ByteLevelStage>());
    }
    stages.push_back(std::make_unique<FuseStage>());
  }
}

}  // namespace

DecodeChain::DecodeChain(const Decoder& decoder) {
  for (const DecodeStep& step : decoder.steps()) add_stages(step, stages_);
  stages_.push_back(std::make_unique<CollectStage>());
  for (size_t i = 0; i + 1 < stages_.size(); ++i) {
    stages_[i]->set_next(stages_[i + 1].get());
  }
}

DecodeChain::DecodeChain(DecodeChain&& other) noexcept = default;
DecodeChain& DecodeChain::operator=(DecodeChain&& other) noexcept = default;
DecodeChain::~DecodeChain() = default;

void DecodeChain::push(std::string_view token, std::string& out_text) {
  stages_.front()->feed({std::string(token)});
  out_text += static_cast<CollectStage&>(*stages_.back()).take();
}

void DecodeChain::finish(std::string& out_text) {
  for (const auto& stage : stages_) stage->finish();
  out_text += static_cast<CollectStage&>(*stages_.back()).take();
}

}  // namespace tessera
