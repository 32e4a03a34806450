// SPDX-License-Identifier: Apache-2.0
//
// Asks, when opened, that nothing of it be called again.

#include "sound.hpp"

namespace {

class Backend : public faulty::SoundBackend {
 public:
  static std::unique_ptr<tessera::Device> open(uint32_t,
                                               const tessera::Options&,
                                               const tsr_host_services&) {
    tessera::Error error(TSR_INTERNAL, "the driver's state is damaged");
    error.retry(TSR_PLUGIN_POISONED, 77);
    throw error;
  }
};

}  // namespace

TSR_DEFINE_PLUGIN(Backend)
