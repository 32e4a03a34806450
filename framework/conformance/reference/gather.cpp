// SPDX-License-Identifier: Apache-2.0
//
// Row copies with a range check.

#include "framework/conformance/reference/gather.hpp"

#include <algorithm>
#include <string>

namespace tessera::reference {
namespace {

template <typename Out>
Status copy_rows(const Gather& p, const std::string& op, Out* y) {
  for (uint32_t i = 0; i < p.count; ++i) {
    const int32_t row = p.rows[i];
    if (row < 0 || static_cast<uint32_t>(row) >= p.num_rows) {
      return Status(TSR_INVALID_ARGUMENT, op + ": row " + std::to_string(row) +
                                              " of a table of " +
                                              std::to_string(p.num_rows));
    }
    const float* source = p.table + static_cast<size_t>(row) * p.D;
    std::copy(source, source + p.D, y + size_t{i} * p.D);
  }
  return {};
}

}  // namespace

template <typename Out>
Status embedding(const Gather& p, Out* y) {
  return copy_rows(p, "embedding", y);
}

template <typename Out>
Status gather_rows(const Gather& p, Out* y) {
  return copy_rows(p, "gather_rows", y);
}

template Status embedding(const Gather&, float*);
template Status embedding(const Gather&, double*);
template Status gather_rows(const Gather&, float*);
template Status gather_rows(const Gather&, double*);

}  // namespace tessera::reference
