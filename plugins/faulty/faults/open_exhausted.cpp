// SPDX-License-Identifier: Apache-2.0
//
// Has no memory left to open its device.

#include "sound.hpp"

namespace {

class Backend : public faulty::SoundBackend {
 public:
  static std::unique_ptr<tessera::sdk::Device> open(
      uint32_t, const tessera::sdk::Options&, const tsr_host_services&) {
    tessera::sdk::Error error(TSR_RESOURCE_EXHAUSTED, "no memory for a device");
    error.retry(TSR_RETRY_SMALLER);
    throw error;
  }
};

}  // namespace

TSR_DEFINE_PLUGIN(Backend)
