// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/opencl/bench/rivals.hpp"

#include <chrono>
#include <cstdio>

#include "tests/unit/backends/opencl/bench/clblast_gemm.hpp"
#include "tests/unit/backends/opencl/bench/linear_steps.hpp"
#include "tests/unit/backends/opencl/bench/rounds.hpp"

namespace tessera::device_test {
namespace {

struct Shape {
  uint32_t M;
  uint32_t N;
  uint32_t K;

  std::string text() const {
    return "M=" + std::to_string(M) + " " + std::to_string(N) + "x" +
           std::to_string(K);
  }
  LinearRow row(const char* weight, uint32_t act_quant) const {
    return {"", weight, act_quant, M, N, K};
  }
};

template <typename Run>
double seconds_of(const Run& run) {
  const auto begin = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

// The median of the rounds' ratios holds where other work slows whole rounds.
template <typename First, typename Second>
void compare(const std::string& name, double operations, const First& first,
             const Second& second) {
  first();
  second();
  std::vector<double> times;
  std::vector<double> others;
  std::vector<double> ratios;
  for (int i = 0; i < kRounds; ++i) {
    times.push_back(seconds_of(first));
    others.push_back(seconds_of(second));
    ratios.push_back(others.back() / times.back());
  }
  std::printf("%-44s %6.1f over %6.1f GOP/s = %5.2f times as fast\n",
              name.c_str(), operations * 1e-9 / median(times),
              operations * 1e-9 / median(others), median(ratios));
  std::fflush(stdout);
}

void compare_clblast(const std::shared_ptr<Device>& device,
                     const std::string& part, const Shape& shape) {
  const std::string name = "f32 over CLBlast, " + shape.text();
  if (name.find(part) == std::string::npos) return;
  if (!ClBlastGemm::is_installed()) {
    std::printf("%-44s CLBlast is not installed\n", name.c_str());
    return;
  }
  const LinearRow row = shape.row("f32", TSR_ACT_FLOAT);
  LinearSteps ours(device, row);
  ClBlastGemm theirs(shape.M, shape.N, shape.K);
  compare(
      name, operations_of(row), [&] { require(ours.steps().run()); },
      [&] { theirs.run(); });
}

void compare_int8(const std::shared_ptr<Device>& device,
                  const std::string& part, const Shape& shape) {
  const std::string name = "w8a8 over f32, " + shape.text();
  if (name.find(part) == std::string::npos) return;
  const LinearRow row = shape.row("i8_channel", TSR_ACT_I8_DYNAMIC);
  LinearSteps codes(device, row);
  LinearSteps floats(device, shape.row("f32", TSR_ACT_FLOAT));
  compare(
      name, operations_of(row), [&] { require(codes.steps().run()); },
      [&] { require(floats.steps().run()); });
}

constexpr Shape kClBlastShapes[] = {
    {512, 512, 512}, {1024, 1024, 1024}, {512, 4096, 4096}};
constexpr Shape kInt8Shapes[] = {
    {512, 288, 288},   {512, 768, 768},   {512, 1024, 1024},
    {512, 1024, 4096}, {512, 4096, 1024}, {512, 2048, 2048},
    {512, 4096, 4096}, {500, 1000, 1000}, {128, 1024, 1024},
};

}  // namespace

void run_rivals(const std::shared_ptr<Device>& device,
                const std::string& part) {
  for (const Shape& s : kClBlastShapes) compare_clblast(device, part, s);
  for (const Shape& s : kInt8Shapes) compare_int8(device, part, s);
}

}  // namespace tessera::device_test
