// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/framework/planner/random_problem.hpp"

#include <optional>
#include <random>
#include <string>
#include <utility>

namespace tessera::planner {
namespace {

class ProblemMaker {
 public:
  explicit ProblemMaker(uint32_t seed) : rng_(seed) {}

  Problem make() {
    problem_.objective = static_cast<Objective>(pick(4));
    problem_.workload = {8, 1 + pick(4), 1};
    problem_.split_phases = happens(0.4);
    problem_.schemes = {"exact", "half"};
    problem_.pools = {{"a", amount(500, 3000)}, {"b", amount(500, 3000)}};
    for (uint32_t i = 0; i < 2; ++i) {
      problem_.devices.push_back({i == 0 ? "one" : "two", false,
                                  happens(0.3) ? 0U : i, happens(0.3) ? 0U : i,
                                  amount(0, 50), ""});
    }
    const double dear = happens(0.4) ? 2000.0 : 50.0;
    problem_.transfers = {{0, 1, {{0, draw(0, dear)}}},
                          {1, 0, {{0, draw(0, dear)}, {100, dear}}}};
    add_linear_class();
    for (const bool keeps_kv : {true, false}) add_segment_class(keeps_kv);
    const uint32_t linears = problem_.split_phases ? 1 : 2;
    for (int32_t g = 0; g < 2; ++g) add_segment(g, linears);
    add_limits();
    add_returns();
    add_overlap();
    return std::move(problem_);
  }

 private:
  uint32_t pick(uint32_t count) {
    return static_cast<uint32_t>(rng_() % count);
  }
  double draw(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(rng_);
  }
  uint64_t amount(double low, double high) {
    return static_cast<uint64_t>(draw(low, high));
  }
  bool happens(double share) { return draw(0, 1) < share; }
  Cost cost(double scale) {
    return {scale * draw(10, 100), draw(1, 10), amount(0, 200), "measured"};
  }

  // What decodes faster may take more, and be slower in prefill.
  Cell in_another_layout(Cell cell) {
    cell.layout = "wide";
    cell.parts.front().weight_bytes = amount(200, 800);
    for (std::optional<Cost>& cost : cell.costs) cost->ns *= draw(0.5, 1.5);
    return cell;
  }

  void add_linear_class() {
    LinearClass entry{"linear", 128, 64, {}, {}};
    for (uint32_t device = 0; device < 2; ++device) {
      for (uint32_t scheme = 0; scheme < 2; ++scheme) {
        const double share = scheme == 0 ? 1.0 : 0.5;
        Cell cell;
        cell.host = device;
        cell.scheme = scheme;
        cell.load_bytes = amount(0, 200);
        cell.parts = {{device, 0, 128, amount(200, 600), {}}};
        cell.costs = {cost(8 * share), cost(share)};
        entry.cells.push_back(cell);
        if (happens(0.2)) entry.cells.push_back(in_another_layout(cell));
      }
      if (!happens(0.3)) continue;
      Cell divided = entry.cells.back();
      divided.layout.clear();
      divided.parts = {
          {device, 0, 64, amount(100, 300), {draw(1, 90), 9.0}},
          {1 - device, 64, 128, amount(100, 300), {draw(1, 90), draw(1, 9)}}};
      divided.costs = {cost(3), cost(0.4)};
      entry.cells.push_back(divided);
    }
    problem_.linear_classes = {entry};
  }

  void add_segment_class(bool keeps_kv) {
    SegmentClass entry{keeps_kv ? "attention" : "mlp", keeps_kv, {}, {}};
    for (uint32_t device = 0; device < 2; ++device) {
      entry.sites.push_back({device, amount(0, 100), {cost(2), cost(0.5)}});
    }
    problem_.segment_classes.push_back(entry);
  }

  void add_segment(int32_t g, uint32_t linears) {
    const std::string name = "layers." + std::to_string(g);
    SegmentModel segment{
        name, g, pick(2), {amount(50, 300), amount(5, 30)}, {}};
    for (uint32_t i = 0; i < linears; ++i) {
      segment.linears.push_back(
          {name + ".linear" + std::to_string(i), 0, {0.0, draw(0.01, 0.1)}});
    }
    problem_.segments.push_back(segment);
  }

  void add_returns() {
    if (happens(0.5)) return;
    const double dear = happens(0.5) ? 2000.0 : 100.0;
    for (TransferCurve& curve : problem_.transfers) {
      curve.return_ns = {draw(0, dear), happens(0.3) ? 0.0 : draw(0, dear)};
    }
  }

  void add_overlap() {
    if (happens(0.5)) return;
    for (TransferCurve& curve : problem_.transfers) curve.overlap = draw(0, 1);
  }

  void add_limits() {
    if (happens(0.6)) problem_.limits.kl = draw(0.0, 0.2);
    if (happens(0.3)) problem_.limits.prefill_ns = draw(300, 1600);
    if (happens(0.3)) problem_.limits.decode_ns = draw(50, 500);
    if (happens(0.3)) {
      problem_.rules.push_back(
          {"layers.1*", happens(0.5) ? "one" : "two", "", happens(0.5)});
    }
    if (happens(0.3)) {
      problem_.rules.push_back({"*.linear0", "", "half", happens(0.5)});
    }
  }

  std::mt19937 rng_;
  Problem problem_;
};

}  // namespace

Problem random_problem(uint32_t seed) { return ProblemMaker(seed).make(); }

}  // namespace tessera::planner
