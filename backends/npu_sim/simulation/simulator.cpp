// SPDX-License-Identifier: Apache-2.0
//
// Results by shape.

#include <mutex>
#include <unordered_map>
#include <utility>

#include "backends/npu_sim/simulation/simulate.hpp"

namespace tessera::npu {

struct Simulator::State {
  Profile profile;
  std::mutex mutex;
  // Nodes stay where they are: callers keep references.
  std::unordered_map<std::string, Simulation> results;
  std::unordered_map<std::string, Simulation> guesses;
};

Simulator::Simulator(Profile profile) : state_(std::make_unique<State>()) {
  state_->profile = std::move(profile);
}

Simulator::~Simulator() = default;
Simulator::Simulator(Simulator&&) noexcept = default;
Simulator& Simulator::operator=(Simulator&&) noexcept = default;

const Profile& Simulator::profile() const { return state_->profile; }

const Simulation& Simulator::time(const Problem& problem) {
  const std::string key = key_of(problem);
  const std::lock_guard<std::mutex> lock(state_->mutex);
  const auto found = state_->results.find(key);
  if (found != state_->results.end()) return found->second;
  return state_->results.emplace(key, simulate(state_->profile, problem))
      .first->second;
}

const Simulation& Simulator::guess(const Problem& problem) const {
  const std::string key = key_of(problem);
  const std::lock_guard<std::mutex> lock(state_->mutex);
  const auto found = state_->guesses.find(key);
  if (found != state_->guesses.end()) return found->second;
  return state_->guesses.emplace(key, estimate(state_->profile, problem))
      .first->second;
}

int64_t Simulator::num_simulated() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return static_cast<int64_t>(state_->results.size());
}

}  // namespace tessera::npu
