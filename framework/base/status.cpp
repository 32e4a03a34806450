// SPDX-License-Identifier: Apache-2.0

#include "framework/base/status.hpp"

namespace tessera {

std::string status_name(tsr_status code) {
  switch (code) {
    case TSR_OK:
      return "OK";
    case TSR_CANCELLED:
      return "CANCELLED";
    case TSR_INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case TSR_DEADLINE_EXCEEDED:
      return "DEADLINE_EXCEEDED";
    case TSR_NOT_FOUND:
      return "NOT_FOUND";
    case TSR_RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    case TSR_FAILED_PRECONDITION:
      return "FAILED_PRECONDITION";
    case TSR_UNIMPLEMENTED:
      return "UNIMPLEMENTED";
    case TSR_INTERNAL:
      return "INTERNAL";
    case TSR_UNAVAILABLE:
      return "UNAVAILABLE";
    case TSR_DATA_LOSS:
      return "DATA_LOSS";
    default:
      return "code " + std::to_string(code);
  }
}

}  // namespace tessera
