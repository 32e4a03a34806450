// SPDX-License-Identifier: Apache-2.0
//
// The host's services with memory from somebody else.

#pragma once

#include <memory>

#include "framework/host/loading/named_library.hpp"
#include "framework/host/services/services.hpp"

namespace tessera {

// Stays where it is.
class LentServices {
 public:
  LentServices(std::shared_ptr<HostServices> services,
               std::shared_ptr<HostAllocator> allocator);
  LentServices(const LentServices&) = delete;
  LentServices& operator=(const LentServices&) = delete;

  const tsr_host_services* table() const { return &table_; }

 private:
  std::shared_ptr<HostServices> services_;
  std::shared_ptr<HostAllocator> allocator_;
  tsr_host_services table_;
};

}  // namespace tessera
