// SPDX-License-Identifier: Apache-2.0
//
// A weight for the toy plugin, and one linear run through a device.

#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "framework/host/device/device.hpp"
#include "framework/host/device/record_builder.hpp"

namespace tessera {

inline const char* toy_manifest() {
  return TSR_BINARY_DIR "/test_plugins/tsr_plugin_toy.json";
}

// Caches of tests do not mix with the user's.
inline HostOptions test_options() {
  HostOptions options;
  options.num_threads = 2;
  options.cache_root = testing::TempDir() + "tessera_host_cache";
  return options;
}

// W = scale * codes in the I8 format, with an input multiplier.
struct ToyWeightData {
  ToyWeightData(uint32_t rows, uint32_t cols) : N(rows), K(cols) {
    std::mt19937 rng(42);
    codes.resize(size_t{N} * K);
    for (int8_t& code : codes) code = static_cast<int8_t>(rng() % 255 - 127);
    for (uint32_t n = 0; n < N; ++n) {
      scales.push_back(static_cast<float>(n % 7 + 1));
    }
    for (uint32_t k = 0; k < K; ++k) {
      multipliers.push_back(static_cast<float>(k % 3 + 1));
    }
    planes.push_back(
        plane(TSR_PLANE_CODES, TSR_I8, N, K, 1, 1, K, codes.data()));
    planes.push_back(
        plane(TSR_PLANE_SCALE, TSR_F32, N, 1, 1, K, 4, scales.data()));
    planes.push_back(plane(TSR_PLANE_INPUT_MULTIPLIER, TSR_F32, 1, K, 0, 0,
                           K * 4, multipliers.data()));
  }

  // All that a plane has.
  // NOLINTNEXTLINE(readability-function-size)
  static tsr_plane plane(uint32_t role, uint32_t dtype, uint32_t rows,
                         uint32_t cols, uint32_t block_n, uint32_t block_k,
                         uint64_t row_bytes, const void* data) {
    return {sizeof(tsr_plane), role,    dtype, rows,      cols,
            block_n,           block_k, 0,     row_bytes, data};
  }
  tsr_weight_desc desc() const {
    return {sizeof(tsr_weight_desc),
            TSR_WEIGHT_I8,
            N,
            K,
            {planes.data(), static_cast<uint32_t>(planes.size()),
             sizeof(tsr_plane)},
            nullptr};
  }
  // y[n] for x = 1: exact in F32 while sums stay below 2^24.
  std::vector<float> row_sums() const {
    std::vector<float> sums(N);
    for (uint32_t n = 0; n < N; ++n) {
      for (uint32_t k = 0; k < K; ++k) {
        sums[n] +=
            multipliers[k] * static_cast<float>(codes[size_t{n} * K + k]);
      }
      sums[n] *= scales[n];
    }
    return sums;
  }

  uint32_t N;
  uint32_t K;
  std::vector<int8_t> codes;
  std::vector<float> scales;
  std::vector<float> multipliers;
  std::vector<tsr_plane> planes;
};

inline std::vector<std::byte> linear_program(uint32_t N, uint32_t K,
                                             uint64_t weight, uint64_t buffer,
                                             uint64_t y_offset) {
  const auto tensor = [](uint32_t cols) {
    tsr_tensor result{};
    result.dtype = TSR_F32;
    result.rank = 2;
    result.view_of = TSR_NONE;
    result.dims[0] = {1, TSR_DIM_TOKENS};
    result.dims[1] = {cols, TSR_DIM_FIXED};
    return result;
  };
  ProgramBuilder builder;
  builder.set_limits(1, 1, 1, 1);
  tsr_op_linear op{};
  op.op.kind = TSR_OP_LINEAR;
  op.x = builder.add_tensor(tensor(K));
  op.y = builder.add_tensor(tensor(N));
  op.weight = builder.add_weight(weight);
  op.bias = op.multiplier = op.residual = TSR_NONE;
  builder.add_op(op);
  builder.bind(op.x, buffer, 0);
  builder.bind(op.y, buffer, y_offset);
  return builder.build();
}

// y of one linear with x = 1, through buffer, program, queue and timeline.
inline Result<std::vector<float>> run_linear(
    const std::shared_ptr<Device>& device, const Weight& weight, uint32_t N,
    uint32_t K) {
  const uint64_t y_offset = (K * sizeof(float) + 63) / 64 * 64;
  TSR_ASSIGN_OR_RETURN(Buffer buffer,
                       device->create_buffer(y_offset + N * sizeof(float), 0));
  TSR_ASSIGN_OR_RETURN(void* memory, buffer.map());
  std::fill_n(static_cast<float*>(memory), K, 1.0f);
  TSR_ASSIGN_OR_RETURN(const Program program,
                       device->create_program(linear_program(
                           N, K, weight.id(), buffer.id(), y_offset)));
  TSR_ASSIGN_OR_RETURN(Queue queue, device->create_queue());
  Timeline timeline;
  TSR_ASSIGN_OR_RETURN(const uint64_t id, timeline.import_into(device));
  SubmissionBuilder submission;
  submission.set_program(program.id());
  submission.add_signal({id, 1});
  submission.record().num_tokens = 1;
  TSR_RETURN_IF_ERROR(queue.submit(submission.record()));
  TSR_RETURN_IF_ERROR(timeline.wait(1));
  const auto* y = reinterpret_cast<const float*>(
      static_cast<const std::byte*>(memory) + y_offset);
  return std::vector<float>(y, y + N);
}

}  // namespace tessera
