// SPDX-License-Identifier: Apache-2.0
//
// Structs that hold pointers, as they cross to a child.

#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/device/device_facts.hpp"
#include "framework/host/remote/wire.hpp"
#include "tessera/plugin.h"

namespace tessera {

// A `next` chain: the nodes hold no pointers besides their heads'.
void put_extensions(WireWriter& writer, const tsr_ext* next);

// The nodes of chains that were read, and their names.
struct WireExtensions {
  std::deque<std::vector<uint64_t>> nodes;
  std::deque<std::string> names;
};
// The first node of the chain, which `storage` holds; null if it is empty.
const tsr_ext* get_extensions(WireReader& reader, WireExtensions& storage);

// The options of device_open (of tsr_option_value); null is none.
void put_options(WireWriter& writer, const tsr_array* options);
// Stays where it is: `values` point into `texts`.
struct WireOptions {
  std::deque<std::string> texts;
  std::vector<tsr_option_value> values;

  tsr_array array() const {
    return {values.data(), static_cast<uint32_t>(values.size()),
            sizeof(tsr_option_value)};
  }
};
void get_options(WireReader& reader, WireOptions& out_options);

// A struct as today's, whatever its writer's struct_size.
void put_kv_desc(WireWriter& writer, const tsr_kv_desc& desc);
tsr_kv_desc get_kv_desc(WireReader& reader, WireExtensions& storage);

// The shape of a weight.  Planes that carry data say where in shared memory it
// lies: one after another, each at a multiple of 64.
void put_weight_desc(WireWriter& writer, const tsr_weight_desc& desc);
// Bytes of all planes with data, laid out so.
uint64_t shared_plane_bytes(const tsr_weight_desc& desc);
// Copies the data there.
void copy_planes(const tsr_weight_desc& desc, std::byte* shared);

// A desc with its planes, which point into `shared`.
struct WireWeight {
  std::vector<tsr_plane> planes;
  WireExtensions nodes;
  tsr_weight_desc desc{};  // points at `planes`
};
// Stays where it is: `out_weight->desc` points into it.  False if a plane lies
// outside of `shared_bytes`.
bool get_weight_desc(WireReader& reader, const std::byte* shared,
                     uint64_t shared_bytes, WireWeight* out_weight);

// What a plugin says about a device.
void put_device_facts(WireWriter& writer, const DeviceFacts& facts);

// The same on the host's side, with all that its pointers point at.
struct WireFacts {
  tsr_device_info info{};
  std::vector<tsr_memory_kind> memory_kinds;
  std::vector<tsr_option> options;
  std::vector<tsr_kernel_desc> kernels;
  std::deque<std::string> texts;
  std::deque<std::vector<tsr_plane_rule>> rules;
  std::deque<std::vector<const char*>> extensions;
  WireExtensions nodes;
};
// Fills `out_facts`, which stays where it is.  False if the message is short.
bool get_device_facts(WireReader& reader, WireFacts* out_facts);

}  // namespace tessera
