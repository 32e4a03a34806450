// SPDX-License-Identifier: Apache-2.0

#include "tests/e2e/stories.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace tessera::e2e {
namespace {

constexpr uint64_t kCalibrationTokens = 4096;
constexpr uint64_t kScoredOffset = 8192;

std::string strip(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool begins_story(const std::string& paragraph) {
  for (const char* opening :
       {"Once upon a time", "One day, a ", "One day, an ", "Once there "}) {
    if (paragraph.starts_with(opening)) return true;
  }
  return false;
}

std::vector<std::string> split_stories(const std::string& text,
                                       const std::string& joint) {
  std::vector<std::string> stories;
  std::istringstream lines(text);
  std::string paragraph;
  const auto finish = [&] {
    const std::string clean = strip(paragraph);
    paragraph.clear();
    if (clean.empty()) return;
    if (stories.empty() || begins_story(clean)) {
      stories.push_back(clean);
    } else {
      stories.back() += joint + clean;
    }
  };
  for (std::string line; std::getline(lines, line);) {
    if (strip(line).empty()) {
      finish();
    } else {
      paragraph += line + "\n";
    }
  }
  finish();
  return stories;
}

}  // namespace

Result<StoryTexts> read_stories(const StoryProtocol& protocol,
                                const Tokenizer& tokenizer,
                                const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return Status(TSR_NOT_FOUND, path);
  StoryTexts texts;
  uint64_t begin = 0;  // of the story in the stream of all
  for (const std::string& story :
       split_stories(strip(text.str()), protocol.joint)) {
    TSR_ASSIGN_OR_RETURN(std::vector<int32_t> ids, tokenizer.encode(story));
    const uint64_t length = ids.size();
    const auto cut = [&](uint64_t end) {
      std::vector<int32_t> kept = ids;
      kept.resize(std::min<uint64_t>(
          {length, protocol.context, end > begin ? end - begin : 0}));
      return kept;
    };
    std::vector<int32_t> calibration = cut(kCalibrationTokens);
    if (!calibration.empty()) {
      texts.calibration.push_back(std::move(calibration));
    }
    if (begin >= kScoredOffset) {
      std::vector<int32_t> scored = cut(kScoredOffset + protocol.scored_span);
      if (scored.size() > 1) texts.scored.push_back(std::move(scored));
    }
    begin += length;
  }
  return texts;
}

}  // namespace tessera::e2e
