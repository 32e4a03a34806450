// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/mixed_integer_program.hpp"

#include <coin/Cbc_C_Interface.h>
#include <coin/Clp_C_Interface.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

namespace tessera::planner {
namespace {

using Model = std::unique_ptr<Cbc_Model, decltype(&Cbc_deleteModel)>;
using Simplex = std::unique_ptr<Clp_Simplex, decltype(&Clp_deleteModel)>;

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

// Columns one after the other, as the libraries take them: no row twice.
MixedIntegerProgram::Matrix MixedIntegerProgram::matrix() const {
  Matrix matrix;
  matrix.starts.push_back(0);
  matrix.lowers.assign(costs_.size(), 0.0);
  for (const std::vector<Term>& column : terms_) {
    std::map<int, double> merged;
    for (const Term& term : column) merged[term.row] += term.value;
    for (const auto& [row, value] : merged) {
      matrix.rows.push_back(row);
      matrix.values.push_back(value);
    }
    matrix.starts.push_back(static_cast<int>(matrix.rows.size()));
  }
  return matrix;
}

std::vector<double> MixedIntegerProgram::solve_linear() const {
  const Matrix matrix = this->matrix();
  const Simplex model(Clp_newModel(), &Clp_deleteModel);
  Clp_setLogLevel(model.get(), 0);
  Clp_loadProblem(model.get(), static_cast<int>(costs_.size()),
                  static_cast<int>(row_lowers_.size()), matrix.starts.data(),
                  matrix.rows.data(), matrix.values.data(),
                  matrix.lowers.data(), uppers_.data(), costs_.data(),
                  row_lowers_.data(), row_uppers_.data());
  Clp_dual(model.get(), 0);
  if (Clp_status(model.get()) != 0) return {};
  const double* const solution = Clp_primalColumnSolution(model.get());
  return {solution, solution + costs_.size()};
}

MixedIntegerProgram::Outcome MixedIntegerProgram::solve(
    double cutoff, uint32_t max_nodes) const {
  const Matrix matrix = this->matrix();
  const Model model(Cbc_newModel(), &Cbc_deleteModel);
  Cbc_setLogLevel(model.get(), 0);
  Cbc_loadProblem(model.get(), static_cast<int>(costs_.size()),
                  static_cast<int>(row_lowers_.size()), matrix.starts.data(),
                  matrix.rows.data(), matrix.values.data(),
                  matrix.lowers.data(), uppers_.data(), costs_.data(),
                  row_lowers_.data(), row_uppers_.data());
  for (size_t c = 0; c < whole_.size(); ++c) {
    if (whole_[c]) Cbc_setInteger(model.get(), static_cast<int>(c));
  }
  Cbc_setParameter(model.get(), "maxNodes", std::to_string(max_nodes).c_str());
  Cbc_setParameter(model.get(), "cutoff",
                   fmt::format("{:.17g}", cutoff).c_str());
  Cbc_solve(model.get());
  if (Cbc_isProvenInfeasible(model.get()) != 0) return {cutoff, {}};
  Outcome outcome{Cbc_getBestPossibleObjValue(model.get()), {}};
  if (Cbc_numberSavedSolutions(model.get()) > 0) {
    const double* const solution = Cbc_getColSolution(model.get());
    outcome.values.assign(solution, solution + costs_.size());
  }
  return outcome;
}

}  // namespace tessera::planner
