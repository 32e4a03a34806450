// SPDX-License-Identifier: Apache-2.0
//
// A mixed-integer linear program, built column by column and solved by
// Cbc, or by Clp where no column has to be whole.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera::planner {

// Minimize cost * x, lower <= A x <= upper, x >= 0.
class MixedIntegerProgram {
 public:
  // `whole`: x must be an integer.  Returns the column's index.
  int add_column(double cost, double upper, bool whole);
  // Infinite bounds are none.  Returns the row's index.
  int add_row(double lower, double upper);
  // Adds `value` to an element of A.
  void add_term(int row, int column, double value);

  size_t num_columns() const { return costs_.size(); }

  struct Outcome {
    // No solution costs less than the smaller of this and the cutoff.
    double bound = 0.0;
    std::vector<double> values;  // by column; empty: none below the cutoff
  };

  // Looks for solutions below `cutoff`, in at most `max_nodes` branches, on the
  // calling thread.  Rows hold to 1e-7, integers to 1e-6.
  Outcome solve(double cutoff, uint32_t max_nodes) const;

  // The best values by column where none has to be whole; empty if there are
  // none, or none that is best.
  std::vector<double> solve_linear() const;

 private:
  struct Term {
    int row;
    double value;
  };

  struct Matrix {
    std::vector<int> starts;  // by column, and one more
    std::vector<int> rows;
    std::vector<double> values;
    std::vector<double> lowers;  // of columns
  };

  Matrix matrix() const;

  std::vector<double> costs_;
  std::vector<double> uppers_;
  std::vector<bool> whole_;
  std::vector<std::vector<Term>> terms_;  // by column
  std::vector<double> row_lowers_;
  std::vector<double> row_uppers_;
};

}  // namespace tessera::planner
