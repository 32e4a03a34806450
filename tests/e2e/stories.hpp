// SPDX-License-Identifier: Apache-2.0
//
// The protocol of the anchors: which text two tiny models are calibrated and
// scored on.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/tokenizer/tokenizer.hpp"

namespace tessera::e2e {

struct StoryProtocol {
  std::string model;         // a folder of the shared models
  uint32_t context = 0;      // tokens of a story that are used
  std::string joint;         // between paragraphs
  uint64_t scored_span = 0;  // tokens from offset 8192
};

struct StoryTexts {
  std::vector<std::vector<int32_t>> calibration;  // of the first 4096 tokens
  std::vector<std::vector<int32_t>> scored;
};

// Stories of `path`, each behind BOS.
Result<StoryTexts> read_stories(const StoryProtocol& protocol,
                                const Tokenizer& tokenizer,
                                const std::string& path);

}  // namespace tessera::e2e
