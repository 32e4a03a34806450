// SPDX-License-Identifier: Apache-2.0
//
// Makes each part of a linear that a plan divides over devices an op of its
// own.

#pragma once

#include "framework/base/status.hpp"
#include "framework/graph/graph.hpp"
#include "framework/planner/plan.hpp"

namespace tessera {

struct DividedGraph {
  Graph graph;
  Plan plan;  // by the ops and weights of `graph`; its `parts` are empty
};

// Replaces every linear that plan.parts divides by one linear per part, each
// with its rows of the weight and of the bias.  What a part writes is a tensor
// that is `part_of` the whole; the whole is written by no op any more, whoever
// runs the graph puts it together.  Linears that follow each other, read the
// same tensor and are divided over the same devices become one group, first
// part by first part.  Tensors and KV caches keep their ids, new ones follow.
//
// Errors  INVALID_ARGUMENT, naming the weight, if parts are not all rows in
//         order, or two of them are on one device;
//         UNIMPLEMENTED for the head, and for linears with an epilogue
Result<DividedGraph> divide_linears(const Graph& graph, const Plan& plan);

}  // namespace tessera
