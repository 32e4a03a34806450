// SPDX-License-Identifier: Apache-2.0
//
// What a timed attention must give for some of its tokens, by the reference.

#pragma once

#include <vector>

#include "framework/base/status.hpp"
#include "framework/bench/timed/attention/attention_facts.hpp"

namespace tessera::bench {

struct ExpectedTokens {
  std::vector<double> values;
  std::vector<double> bounds;
};

// What attention gives for the checked tokens, each a sequence of its own that
// ends where the mask does.
Result<ExpectedTokens> expected_tokens(const AttentionFacts& facts);

// Errors  DATA_LOSS, naming the element that is wrong or was never written
Status check_attention(const AttentionFacts& facts,
                       const ExpectedTokens& expected, TimedOp& op);

}  // namespace tessera::bench
