// SPDX-License-Identifier: Apache-2.0
//
// What programs that time a C library have in common: lines of JSON as in
// python_peer.py, a check of each result, and the clock.

#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tessera::bench {

// y = x w^T with the shapes of a request.
struct PeerLinear {
  int64_t M = 0;
  int64_t N = 0;
  int64_t K = 0;
  std::string scheme;
  int64_t copies = 1;    // of the weight, taken in turn
  std::vector<float> x;  // [M, K], whole numbers of -8 to 8
  std::vector<float> w;  // [N, K], likewise: all types hold them
};

// The request's product.  `bytes_per_weight` is what a copy is counted with.
PeerLinear read_linear(const nlohmann::json& request, double bytes_per_weight);

// Whether y, [M, N], holds the sums within a share `tolerance` of those of
// magnitudes: some rows and columns of them.
bool is_right(const PeerLinear& linear, const float* y, double tolerance);

struct PeerCase {
  std::string what;
  // Why the op cannot be run; empty if it can.
  std::string refusal;
  // Runs the op with copy `turn` of the weight.
  std::function<void(int64_t turn)> run;
};

inline PeerCase refused(std::string why) { return {{}, std::move(why), {}}; }

// Answers requests until the input ends; the exit code.
int serve(const std::string& name,
          const std::function<PeerCase(const nlohmann::json&)>& make);

// Says that what the program needs is not there; the exit code.
int serve_missing();

}  // namespace tessera::bench
