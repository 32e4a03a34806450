// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/json/output_shapes.hpp"

#include <iterator>
#include <utility>

namespace tessera::cli {

const std::vector<OutputShape>& output_shapes() {
  static const std::vector<OutputShape> shapes = [] {
    std::vector<OutputShape> all;
    for (const auto make :
         {device_shapes, model_shapes, quantize_shapes, plan_shapes,
          bench_shapes, history_shapes, kit_shapes}) {
      std::vector<OutputShape> some = make();
      all.insert(all.end(), std::make_move_iterator(some.begin()),
                 std::make_move_iterator(some.end()));
    }
    return all;
  }();
  return shapes;
}

const OutputShape* find_output_shape(std::string_view command) {
  for (const OutputShape& shape : output_shapes()) {
    if (shape.command == command) return &shape;
  }
  return nullptr;
}

}  // namespace tessera::cli
