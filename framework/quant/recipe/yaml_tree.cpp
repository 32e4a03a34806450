// SPDX-License-Identifier: Apache-2.0
//
// Built from yaml-cpp's events, not its nodes: a file that asks for too much is
// left at once.

#include "framework/quant/recipe/yaml_tree.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

namespace tessera::quant {
namespace {

// Thrown through yaml-cpp, whose parser has no other way to stop.
struct Refusal {
  uint32_t line;
  std::string reason;
};

uint32_t line_of(const YAML::Mark& mark) {
  return static_cast<uint32_t>(mark.line + 1);
}

YamlNode start_node(YamlNode::Kind kind, const YAML::Mark& mark) {
  YamlNode node;
  node.kind = kind;
  node.line = line_of(mark);
  return node;
}

uint32_t count_nodes(const YamlNode& node) {
  uint32_t count = 1;
  for (const YamlNode& item : node.items) count += count_nodes(item);
  return count;
}

uint32_t depth_of(const YamlNode& node) {
  uint32_t depth = 0;
  for (const YamlNode& item : node.items) {
    depth = std::max(depth, depth_of(item));
  }
  return depth + 1;
}

class TreeBuilder : public YAML::EventHandler {
 public:
  YamlNode take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add_leaf(start_node(YamlNode::Kind::kNull, mark), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      throw Refusal{line_of(mark), "alias of what it lies in"};
    }
    YamlNode copy = found->second;
    copy.key.clear();
    copy.line = line_of(mark);
    count(copy);
    place(std::move(copy));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor, const std::string& value) override {
    YamlNode node = start_node(YamlNode::Kind::kScalar, mark);
    node.text = value;
    node.quoted = tag == "!";
    add_leaf(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::kSequence, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string&,
                  YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::kMap, mark, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  // A sequence or map that is not complete yet.
  struct Level {
    YamlNode node;
    YAML::anchor_t anchor;
    std::map<std::string, uint32_t> key_lines;
    bool has_key = false;  // the last of key_lines waits for its value
    std::string key;
    uint32_t key_line = 0;
  };

  void open(YamlNode::Kind kind, const YAML::Mark& mark,
            YAML::anchor_t anchor) {
    if (levels_.size() >= kMaxYamlDepth) {
      throw Refusal{line_of(mark),
                    fmt::format("more than {} levels", kMaxYamlDepth)};
    }
    Level level;
    level.node = start_node(kind, mark);
    level.anchor = anchor;
    count(level.node);
    if (wants_key()) throw Refusal{line_of(mark), "a key that is no scalar"};
    levels_.push_back(std::move(level));
  }

  void close() {
    YamlNode node = std::move(levels_.back().node);
    const YAML::anchor_t anchor = levels_.back().anchor;
    levels_.pop_back();
    remember(anchor, node);
    place(std::move(node));
  }

  void add_leaf(YamlNode node, YAML::anchor_t anchor) {
    count(node);
    remember(anchor, node);
    place(std::move(node));
  }

  bool wants_key() const {
    return !levels_.empty() &&
           levels_.back().node.kind == YamlNode::Kind::kMap &&
           !levels_.back().has_key;
  }

  // Puts a complete node where it belongs.
  void place(YamlNode node) {
    if (levels_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = levels_.back();
    if (wants_key()) {
      place_key(level, node);
      return;
    }
    if (level.node.kind == YamlNode::Kind::kMap) {
      node.key = level.key;
      node.line = level.key_line;
      level.has_key = false;
    }
    level.node.items.push_back(std::move(node));
  }

  static void place_key(Level& level, const YamlNode& node) {
    if (node.kind != YamlNode::Kind::kScalar) {
      throw Refusal{node.line, "a key that is no scalar"};
    }
    const auto [known, is_new] = level.key_lines.emplace(node.text, node.line);
    if (!is_new) {
      throw Refusal{node.line, fmt::format("key {} again, first on line {}",
                                           node.text, known->second)};
    }
    level.key = node.text;
    level.key_line = node.line;
    level.has_key = true;
  }

  void count(const YamlNode& node) {
    if (levels_.size() + depth_of(node) > kMaxYamlDepth + 1) {
      throw Refusal{node.line,
                    fmt::format("more than {} levels", kMaxYamlDepth)};
    }
    num_nodes_ += count_nodes(node);
    if (num_nodes_ > kMaxYamlNodes) {
      throw Refusal{node.line,
                    fmt::format("more than {} values", kMaxYamlNodes)};
    }
  }

  // Copies count too: nested anchors hold one tree many times.
  void remember(YAML::anchor_t anchor, const YamlNode& node) {
    if (anchor == 0) return;
    count(node);
    anchors_[anchor] = node;
  }

  YamlNode root_;
  std::vector<Level> levels_;  // outermost first
  std::map<YAML::anchor_t, YamlNode> anchors_;
  uint32_t num_nodes_ = 0;
};

Status refuse(uint32_t line, const std::string& reason) {
  return {TSR_INVALID_ARGUMENT, fmt::format("line {}: {}", line, reason)};
}

}  // namespace

Result<YamlNode> parse_yaml(std::string_view text) {
  if (text.size() > kMaxYamlBytes) {
    return Status(
        TSR_INVALID_ARGUMENT,
        fmt::format("{} bytes, more than {}", text.size(), kMaxYamlBytes));
  }
  std::istringstream stream{std::string(text)};
  TreeBuilder builder;
  try {
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    TreeBuilder second;
    if (parser.HandleNextDocument(second)) {
      return Status(TSR_INVALID_ARGUMENT, "more than one document");
    }
  } catch (const Refusal& refusal) {
    return refuse(refusal.line, refusal.reason);
  } catch (const YAML::Exception& error) {
    return refuse(line_of(error.mark), "no YAML: " + error.msg);
  } catch (const std::exception& error) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("no YAML: {}", error.what()));
  }
  return builder.take_root();
}

}  // namespace tessera::quant
