// SPDX-License-Identifier: Apache-2.0
//
// Texts that end an answer, and are no part of it.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tessera::session {

// Takes an answer piece by piece and gives on what cannot belong to a stop text
// any more.
class StopTexts {
 public:
  // Empty texts are ignored.
  explicit StopTexts(std::vector<std::string> texts);

  // What of the answer is settled by `piece`.  Nothing once has_stopped().
  std::string push(std::string_view piece);
  // What was held back; the answer is over.
  std::string flush();

  bool has_stopped() const { return has_stopped_; }

 private:
  std::vector<std::string> texts_;
  std::string held_;  // could be the beginning of a stop text
  bool has_stopped_ = false;
};

}  // namespace tessera::session
