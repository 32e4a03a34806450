// SPDX-License-Identifier: Apache-2.0
//
// Level 1: what weights, programs and buffers say of themselves.

#pragma once

#include <string>

#include "framework/conformance/kit/cases.hpp"

namespace tessera::conformance {

// "linear_q_i8" of "L1/linear_q_i8/M5_N17_K96".
std::string row_of(const Case& one);

// With the trials that are in `cases` already.
void add_object_cases(CaseList& cases);

}  // namespace tessera::conformance
