// SPDX-License-Identifier: Apache-2.0
//
// Other software that does the same work, timed in turn with ours.

#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "framework/bench/op_question.hpp"
#include "framework/bench/peers/peer_process.hpp"

namespace tessera::bench {

// onednn, openblas, clblast, torch, onnxruntime, openvino.
const std::vector<std::string>& peer_names();

struct PeerOptions {
  std::vector<std::string> names;  // of peer_names()
  std::string python = "python3";  // that has the Python packages
  uint32_t threads = 0;            // 0: one per core
  uint64_t cold_bytes = 0;         // that a cold op takes in turn
};

// Starts programs of its own, one a peer; a peer that is not there stays named.
// One thread at a time.
class Peers {
 public:
  explicit Peers(PeerOptions options);

  // Brings `question` to each, which checks its own result and warms up.
  void prepare(const OpQuestion& question);
  // One sample of at least `batch_ns` of each that took the question.
  void sample(double batch_ns);
  // A row of each, in order, with the keys of op_row.hpp.  `ours` is a measured
  // row of this machine's processor, whose costs and limit are theirs too, or
  // null.
  std::vector<nlohmann::ordered_json> rows(
      const OpQuestion& question, const nlohmann::ordered_json& ours) const;

 private:
  struct Peer {
    std::string name;
    std::string title;  // with its version
    std::unique_ptr<PeerProcess> process;
    Status status;     // why there are no figures
    std::string what;  // that it does
    std::vector<double> ns;
    uint64_t ops = 0;
  };
  // The answer to `request`; a peer that gives none is asked no more.
  Result<nlohmann::json> ask(Peer& peer, const nlohmann::json& request);

  PeerOptions options_;
  std::vector<Peer> peers_;
};

}  // namespace tessera::bench
