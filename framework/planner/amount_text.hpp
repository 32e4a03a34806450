// SPDX-License-Identifier: Apache-2.0
//
// Amounts with their units, as messages say them.

#pragma once

#include <string>

#include "framework/planner/problem/build_chain.hpp"

namespace tessera::planner {

// "12.34 MiB", "512 bytes", "3.4560 ms", "0.0123".
std::string amount_text(RowMeaning meaning, double amount);

// What an objective is counted in: "3.456 ms", "12.3 mJ", "12.34 MiB".
//
// objective  as objective_name() gives it
std::string objective_text(const std::string& objective, double amount);

}  // namespace tessera::planner
