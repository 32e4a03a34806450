// SPDX-License-Identifier: Apache-2.0

#include "framework/session/kv_type.hpp"

#include "tessera/types.h"

namespace tessera {

const std::map<std::string, uint32_t>& kv_types() {
  static const std::map<std::string, uint32_t> types = {
      {"f32", TSR_KV_F32},
      {"f16", TSR_KV_F16},
      {"bf16", TSR_KV_BF16},
      {"int8", TSR_KV_I8_TOKEN},
      {"int8_channel", TSR_KV_I8_CHANNEL},
      {"fa3", TSR_KV_I8_HEAD}};
  return types;
}

Scheme with_kv_type(Scheme scheme, const std::string& kv) {
  const auto found = kv_types().find(kv);
  if (found != kv_types().end()) {
    scheme.kv_format = found->second;
    scheme.kv_as_stored = false;
  }
  return scheme;
}

}  // namespace tessera
