// SPDX-License-Identifier: Apache-2.0
//
// The searches behind RangeRule: clipping ranges judged on a histogram.

#pragma once

#include "framework/quant/activations/static_activation.hpp"
#include "framework/quant/activations/tensor_observer.hpp"

namespace tessera::quant {

struct ValueRange {
  double min = 0.0;
  double max = 0.0;
};

// The range of least static_error among 100 shrunk copies of `whole`; for
// asymmetric codes each end is then moved alone.
ValueRange search_grid(const Histogram& seen, ActivationCodes codes,
                       ValueRange whole);

// Cuts 1e-5 of the values at a time, from the end that moves further by it,
// while static_error does not rise; symmetric codes cut magnitudes.
ValueRange search_tails(const Histogram& seen, ActivationCodes codes,
                        ValueRange whole);

// The limit on magnitudes at which 128 levels keep the distribution best, as a
// range [-limit, limit].
ValueRange search_entropy(const Histogram& seen);

}  // namespace tessera::quant
