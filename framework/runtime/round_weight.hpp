// SPDX-License-Identifier: Apache-2.0
//
// Rounds a weight's rows on the host's threads.

#pragma once

#include <cstdint>

#include "framework/base/status.hpp"
#include "framework/format/encode.hpp"

namespace tessera {

class ThreadPool;

// As format::encode_rows(), bit for bit; a weight whose rows are rounded each
// by itself is cut into pieces for the threads of `pool`, if there is one.
// Pieces are cut by shape alone.  `rows` is called on several threads at once.
Result<format::WeightData> round_weight(const format::WeightScheme& scheme,
                                        uint32_t N, uint32_t K,
                                        const format::RowSource& rows,
                                        ThreadPool* pool);

}  // namespace tessera
