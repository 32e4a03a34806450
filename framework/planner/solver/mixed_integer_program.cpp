// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/mixed_integer_program.hpp"

#include <coin/Cbc_C_Interface.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

namespace tessera::planner {
namespace {

using Model = std::unique_ptr<Cbc_Model, decltype(&Cbc_deleteModel)>;

}  // namespace

int MixedIntegerProgram::add_column(double cost, double upper, bool whole) {
  costs_.push_back(cost);
  uppers_.push_back(upper);
  whole_.push_back(whole);
  terms_.emplace_back();
  return static_cast<int>(costs_.size()) - 1;
}

int MixedIntegerProgram::add_row(double lower, double upper) {
  row_lowers_.push_back(lower);
  row_uppers_.push_back(upper);
  return static_cast<int>(row_lowers_.size()) - 1;
}

void MixedIntegerProgram::add_term(int row, int column, double value) {
  if (value == 0.0) return;
  terms_[static_cast<size_t>(column)].push_back({row, value});
}

MixedIntegerProgram::Outcome MixedIntegerProgram::solve(
    double cutoff, uint32_t max_nodes) const {
  std::vector<CoinBigIndex> starts{0};
  std::vector<int> rows;
  std::vector<double> values;
  for (const std::vector<Term>& column : terms_) {
    std::map<int, double> merged;  // the library takes no row twice
    for (const Term& term : column) merged[term.row] += term.value;
    for (const auto& [row, value] : merged) {
      rows.push_back(row);
      values.push_back(value);
    }
    starts.push_back(static_cast<CoinBigIndex>(rows.size()));
  }
  const std::vector<double> zeros(costs_.size(), 0.0);
  const Model model(Cbc_newModel(), &Cbc_deleteModel);
  Cbc_setLogLevel(model.get(), 0);
  Cbc_loadProblem(model.get(), static_cast<int>(costs_.size()),
                  static_cast<int>(row_lowers_.size()), starts.data(),
                  rows.data(), values.data(), zeros.data(), uppers_.data(),
                  costs_.data(), row_lowers_.data(), row_uppers_.data());
  for (size_t c = 0; c < whole_.size(); ++c) {
    if (whole_[c]) Cbc_setInteger(model.get(), static_cast<int>(c));
  }
  Cbc_setParameter(model.get(), "maxNodes", std::to_string(max_nodes).c_str());
  Cbc_setParameter(model.get(), "cutoff",
                   fmt::format("{:.17g}", cutoff).c_str());
  Cbc_solve(model.get());
  if (Cbc_isProvenInfeasible(model.get()) != 0) return {cutoff, {}};
  Outcome outcome{Cbc_getBestPossibleObjValue(model.get()), {}};
  // A linear program is solved without a solution being saved.
  const bool is_linear =
      std::find(whole_.begin(), whole_.end(), true) == whole_.end();
  if (Cbc_numberSavedSolutions(model.get()) > 0 ||
      (is_linear && Cbc_isProvenOptimal(model.get()) != 0)) {
    const double* const solution = Cbc_getColSolution(model.get());
    outcome.values.assign(solution, solution + costs_.size());
  }
  return outcome;
}

}  // namespace tessera::planner
