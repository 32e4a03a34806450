// SPDX-License-Identifier: Apache-2.0
//
// Asks, when opened, that nothing of it be called again.

#include "sound.hpp"

namespace {

class Backend : public faulty::SoundBackend {
 public:
  static std::unique_ptr<tessera::sdk::Device> open(
      uint32_t, const tessera::sdk::Options&, const tsr_host_services&) {
    tessera::sdk::Error error(TSR_INTERNAL, "the driver's state is damaged");
    error.retry(TSR_PLUGIN_POISONED, 77);
    throw error;
  }
};

}  // namespace

TSR_DEFINE_PLUGIN(Backend)
