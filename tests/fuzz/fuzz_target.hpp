// SPDX-License-Identifier: Apache-2.0
//
// What a fuzz target provides: libFuzzer's entry point, and inputs to start
// from for the mutation driver.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// Never crashes, whatever the bytes; aborts if the reader breaks a promise.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace tessera {

// Valid inputs, small enough that a mutation is likely to matter.
std::vector<std::string> fuzz_seeds();

// Aborts, naming the promise, unless it holds.
void promise(bool holds, const char* what);

}  // namespace tessera
