// SPDX-License-Identifier: Apache-2.0
//
// What the signs of differences tell, whatever their law.

#pragma once

#include <cstddef>
#include <span>

namespace tessera::bench {

// How likely at most `heads` of so many fair coins show heads.
double fair_coin_cdf(size_t tosses, size_t heads);

// How likely so many of the ratios, or more, would be below 1 if each were as
// often above.  Those that are 1 say nothing; 1 without any other.
//
// Source  the sign test: Dixon and Mood, Journal of the American Statistical
//         Association 41, 1946
double below_one_p(std::span<const double> ratios);

}  // namespace tessera::bench
