// SPDX-License-Identifier: Apache-2.0

#include "framework/session/stop_texts.hpp"

#include <algorithm>
#include <utility>

namespace tessera::session {

StopTexts::StopTexts(std::vector<std::string> texts)
    : texts_(std::move(texts)) {
  std::erase_if(texts_, [](const std::string& text) { return text.empty(); });
}

std::string StopTexts::push(std::string_view piece) {
  if (has_stopped_) return {};
  held_ += piece;
  size_t end = held_.npos;
  for (const std::string& text : texts_) {
    end = std::min(end, held_.find(text));
  }
  if (end != held_.npos) {
    has_stopped_ = true;
    held_.resize(end);
    return std::exchange(held_, {});
  }
  // The longest end that is the beginning of a stop text stays.
  size_t kept = 0;
  for (const std::string& text : texts_) {
    for (size_t size = std::min(text.size() - 1, held_.size()); size > kept;
         --size) {
      if (held_.ends_with(std::string_view(text).substr(0, size))) kept = size;
    }
  }
  std::string settled = held_.substr(0, held_.size() - kept);
  held_.erase(0, settled.size());
  return settled;
}

std::string StopTexts::flush() {
  if (has_stopped_) return {};
  return std::exchange(held_, {});
}

}  // namespace tessera::session
