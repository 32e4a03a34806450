// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/speed.hpp"

#include <chrono>

#include "framework/cli/figures.hpp"
#include "framework/eval/metrics.hpp"
#include "framework/runtime/generator.hpp"

namespace tessera::cli {
namespace {

constexpr size_t kMinRounds = 3;
constexpr size_t kMaxRounds = 9;
constexpr std::chrono::seconds kEnough{2};

}  // namespace

Result<Speed> measure_speed(Session& session,
                            const std::vector<int32_t>& prompt,
                            uint32_t num_tokens) {
  const std::vector<Request> requests = {{prompt, num_tokens, {}}};
  const auto begin = std::chrono::steady_clock::now();
  std::vector<double> prefill;
  std::vector<double> decode;
  while (prefill.size() < kMaxRounds) {
    const auto passed = std::chrono::steady_clock::now() - begin;
    if (prefill.size() >= kMinRounds && passed > kEnough) break;
    TSR_ASSIGN_OR_RETURN(const GenerationResult result,
                         generate(session, requests, {}, nullptr));
    prefill.push_back(per_second(result.prompt_tokens, result.prefill_ns));
    decode.push_back(per_second(result.decode_tokens, result.decode_ns));
  }
  return Speed{quantile(prefill, 0.5), quantile(decode, 0.5)};
}

}  // namespace tessera::cli
