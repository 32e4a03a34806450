// SPDX-License-Identifier: Apache-2.0
//
// What check and estimate are asked about, as it crosses to a child.

#pragma once

#include <deque>
#include <vector>

#include "framework/host/remote/wire.hpp"
#include "framework/host/remote/wire_structs.hpp"
#include "tessera/plugin.h"

namespace tessera {

// The program's record, its weights without data, its KV pools.  `weights` and
// `kv_pools` may be null.
void put_question(WireWriter& writer, const tsr_program_desc& program,
                  const tsr_array* weights, const tsr_array* kv_pools);

// Stays where it is: it points into the message and into itself.
struct Question {
  const tsr_program_desc* program = nullptr;
  std::deque<WireWeight> storage;  // stay where they are
  WireExtensions nodes;
  std::vector<tsr_weight_desc> weights;
  std::vector<tsr_kv_desc> kv_pools;

  tsr_array weight_array() const {
    return {weights.data(), static_cast<uint32_t>(weights.size()),
            sizeof(tsr_weight_desc)};
  }
  tsr_array kv_array() const {
    return {kv_pools.data(), static_cast<uint32_t>(kv_pools.size()),
            sizeof(tsr_kv_desc)};
  }
};

// False if the message is cut short.
bool get_question(WireReader& reader, Question& question);

}  // namespace tessera
