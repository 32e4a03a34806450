// SPDX-License-Identifier: Apache-2.0
//
// Its device has texts without an end.

#include <cstring>

#include "sound.hpp"

namespace {

class Backend : public faulty::SoundBackend {
 public:
  static tsr_device_info device_info(uint32_t index) {
    tsr_device_info info = SoundBackend::device_info(index);
    std::memset(info.name, 'x', sizeof(info.name));
    std::memset(info.driver, 'x', sizeof(info.driver));
    return info;
  }
};

}  // namespace

TSR_DEFINE_PLUGIN(Backend)
