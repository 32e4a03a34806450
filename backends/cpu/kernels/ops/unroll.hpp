// SPDX-License-Identifier: Apache-2.0
//
// Goes before a loop over an array of registers: g++ keeps the array in
// registers only if the loop is unrolled.

#pragma once

#if defined(__clang__)
#define TSR_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define TSR_UNROLL _Pragma("GCC unroll 16")
#else
#define TSR_UNROLL
#endif
