// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/compare/speed.hpp"

#include <chrono>

#include "framework/cli/figures.hpp"
#include "framework/eval/metrics.hpp"
#include "framework/runtime/generator.hpp"

namespace tessera::cli {
namespace {

constexpr size_t kMinRounds = 3;
constexpr size_t kMaxRounds = 9;
constexpr std::chrono::seconds kEnough{2};

struct Samples {
  std::vector<double> prefill;
  std::vector<double> decode;
};

}  // namespace

Result<std::vector<Speed>> measure_speeds(std::span<Session* const> sessions,
                                          const std::vector<int32_t>& prompt,
                                          uint32_t num_tokens) {
  const std::vector<Request> requests = {{prompt, num_tokens, {}}};
  const auto begin = std::chrono::steady_clock::now();
  std::vector<Samples> samples(sessions.size());
  for (size_t round = 0; round < kMaxRounds; ++round) {
    const auto passed = std::chrono::steady_clock::now() - begin;
    if (round >= kMinRounds && passed > kEnough * sessions.size()) break;
    for (size_t i = 0; i < sessions.size(); ++i) {
      TSR_ASSIGN_OR_RETURN(const GenerationResult result,
                           generate(*sessions[i], requests, {}, nullptr));
      samples[i].prefill.push_back(
          per_second(result.prompt_tokens, result.prefill_ns));
      samples[i].decode.push_back(
          per_second(result.decode_tokens, result.decode_ns));
    }
  }
  std::vector<Speed> speeds;
  speeds.reserve(samples.size());
  for (Samples& of_session : samples) {
    speeds.push_back(
        {quantile(of_session.prefill, 0.5), quantile(of_session.decode, 0.5)});
  }
  return speeds;
}

Result<Speed> simulated_speed(Session& session,
                              const std::vector<int32_t>& prompt,
                              uint32_t num_tokens) {
  const std::vector<Request> requests = {{prompt, num_tokens, {}}};
  TSR_ASSIGN_OR_RETURN(const GenerationResult result,
                       generate(session, requests, {}, nullptr));
  return Speed{per_second(result.prompt_tokens, result.prefill_simulated_ns),
               per_second(result.decode_tokens, result.decode_simulated_ns)};
}

}  // namespace tessera::cli
