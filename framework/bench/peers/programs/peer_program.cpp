// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/peers/programs/peer_program.hpp"

#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <memory>
#include <random>

namespace tessera::bench {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<float> whole_numbers(int64_t count, uint32_t seed) {
  std::mt19937 rng(seed);
  std::uniform_int_distribution<int> number(-8, 8);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(number(rng));
  return values;
}

struct Sample {
  double ns = 0.0;  // of one op
  int64_t ops = 0;
};

class Timer {
 public:
  explicit Timer(const PeerCase& timed) : timed_(timed) {
    constexpr int64_t kWarmUps = 2;
    batch(kWarmUps);
  }

  Sample sample(double batch_ns) {
    double ns = 0.0;
    int64_t ops = 0;
    int64_t step = 1;
    while (ns < batch_ns) {
      ns += batch(step);
      ops += step;
      const double left =
          (batch_ns - ns) * static_cast<double>(ops) / std::max(ns, 1.0);
      step = static_cast<int64_t>(
          std::clamp(left, 1.0, 100.0 * static_cast<double>(ops)));
    }
    return {ns / static_cast<double>(ops), ops};
  }

 private:
  double batch(int64_t count) {
    const Clock::time_point begin = Clock::now();
    for (int64_t i = 0; i < count; ++i) timed_.run(turn_++);
    return std::chrono::duration<double, std::nano>(Clock::now() - begin)
        .count();
  }

  const PeerCase& timed_;
  int64_t turn_ = 0;
};

void answer(const nlohmann::json& words) {
  std::cout << words.dump() << std::endl;
}

}  // namespace

PeerLinear read_linear(const nlohmann::json& request, double bytes_per_weight) {
  PeerLinear linear;
  linear.M = request.at("M");
  linear.N = request.at("N");
  linear.K = request.at("K");
  linear.scheme = request.at("scheme");
  linear.x = whole_numbers(linear.M * linear.K, 1);
  linear.w = whole_numbers(linear.N * linear.K, 2);
  const double bytes =
      bytes_per_weight * static_cast<double>(linear.N * linear.K);
  const double cold = request.at("cold_bytes");
  linear.copies =
      std::max<int64_t>(1, static_cast<int64_t>(std::ceil(cold / bytes)));
  return linear;
}

bool is_right(const PeerLinear& linear, const float* y, double tolerance) {
  constexpr int64_t kColumns = 64;
  for (const int64_t m : {int64_t{0}, linear.M - 1}) {
    for (int64_t n = 0; n < std::min(kColumns, linear.N); ++n) {
      double sum = 0.0;
      double magnitude = 0.0;
      for (int64_t k = 0; k < linear.K; ++k) {
        const double product =
            double{linear.x[static_cast<size_t>(m * linear.K + k)]} *
            double{linear.w[static_cast<size_t>(n * linear.K + k)]};
        sum += product;
        magnitude += std::fabs(product);
      }
      const double error = std::fabs(double{y[m * linear.N + n]} - sum);
      if (!(error <= tolerance * magnitude)) return false;
    }
  }
  return true;
}

int serve(const std::string& name,
          const std::function<PeerCase(const nlohmann::json&)>& make) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // halted, it would outlive its parent
  answer({{"name", name}});
  PeerCase timed;
  std::unique_ptr<Timer> timer;
  for (std::string line; std::getline(std::cin, line);) {
    const auto request = nlohmann::json::parse(line, nullptr, false);
    if (!request.is_object()) return 1;
    if (request.contains("batch_ns") && timer != nullptr) {
      const Sample sample = timer->sample(request.at("batch_ns"));
      answer({{"ns", sample.ns}, {"ops", sample.ops}});
      continue;
    }
    timer.reset();
    timed = {};  // gives back the memory of the case before
    timed = request.value("op", "") == "linear"
                ? make(request)
                : refused("no " + request.value("op", "such op") + " here");
    if (timed.refusal.empty()) {
      timer = std::make_unique<Timer>(timed);
      answer({{"ready", timed.what}});
    } else {
      answer({{"refused", timed.refusal}});
    }
  }
  return 0;
}

int serve_missing() {
  answer({{"missing", true}});
  return 0;
}

}  // namespace tessera::bench
