// SPDX-License-Identifier: Apache-2.0

#include "kernels/linear.h"

#include <string.h>

// Columns of a task: enough work to be worth a thread.
enum { COLUMNS_PER_TASK = 16 };

// Sums side by side, so that the compiler can use vectors: it may not change
// the order of a float sum by itself.
enum { LANES = 16 };

static float sum_of(const float* lanes) {
  float sum = 0.0f;
  for (int i = 0; i < LANES; ++i) sum += lanes[i];
  return sum;
}

static float dot_f32(const float* x, const float* w, uint32_t K) {
  float lanes[LANES] = {0.0f};
  uint32_t k = 0;
  for (; k + LANES <= K; k += LANES) {
    for (uint32_t i = 0; i < LANES; ++i) lanes[i] += x[k + i] * w[k + i];
  }
  for (; k < K; ++k) lanes[k % LANES] += x[k] * w[k];
  return sum_of(lanes);
}

static float dot_i8(const float* x, const int8_t* w, uint32_t K) {
  float lanes[LANES] = {0.0f};
  uint32_t k = 0;
  for (; k + LANES <= K; k += LANES) {
    for (uint32_t i = 0; i < LANES; ++i) lanes[i] += x[k + i] * (float)w[k + i];
  }
  for (; k < K; ++k) lanes[k % LANES] += x[k] * (float)w[k];
  return sum_of(lanes);
}

static float scaled_dot(const linear* op, const float* x, uint32_t n) {
  const char* codes = op->codes + n * op->codes_row_bytes;
  if (op->weight_format == TSR_WEIGHT_F32) {
    return dot_f32(x, (const float*)(const void*)codes, op->K);
  }
  float scale = 0.0f;
  memcpy(&scale, op->scales + n * op->scales_row_bytes, sizeof(scale));
  return scale * dot_i8(x, (const int8_t*)codes, op->K);
}

// All rows of some columns: a row of the weight is read from memory once.
static void run_columns(void* context, uint32_t index) {
  const linear* op = context;
  const uint32_t begin = index * COLUMNS_PER_TASK;
  const uint32_t left = op->N - begin;
  const uint32_t end =
      begin + (left < COLUMNS_PER_TASK ? left : COLUMNS_PER_TASK);
  for (uint32_t n = begin; n < end; ++n) {
    for (uint64_t m = 0; m < op->M; ++m) {
      float y = scaled_dot(op, op->x + m * op->x_stride, n);
      if (op->bias != NULL) y += op->bias[n];
      op->y[m * op->y_stride + n] = y;
    }
  }
}

void run_linear(const tsr_host_services* host, const linear* op) {
  const uint32_t tasks =
      op->N / COLUMNS_PER_TASK + (op->N % COLUMNS_PER_TASK != 0);
  linear context = *op;
  host->parallel_for(host->host, tasks, run_columns, &context);
}
