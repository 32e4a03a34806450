// SPDX-License-Identifier: Apache-2.0
//
// The four steps, for both number types.  Compiled without FMA contraction.

#include "framework/conformance/reference/linear/epilogue.hpp"

#include <string>

#include "framework/conformance/reference/elementwise.hpp"
#include "tessera/ops.h"
#include "tessera/portable_math.h"

namespace tessera::reference {
namespace {

double activate(uint32_t activation, double value) {
  switch (activation) {
    case TSR_EPILOGUE_SILU:
      return silu(value);
    case TSR_EPILOGUE_GELU_ERF:
      return gelu_erf(value);
    case TSR_EPILOGUE_GELU_TANH:
      return gelu_tanh(value);
    default:
      return value;
  }
}

float activate(uint32_t activation, float value) {
  switch (activation) {
    case TSR_EPILOGUE_SILU:
      return tsr_silu_f32(value);
    case TSR_EPILOGUE_GELU_ERF:
      return tsr_gelu_erf_f32(value);
    case TSR_EPILOGUE_GELU_TANH:
      return tsr_gelu_tanh_f32(value);
    default:
      return value;
  }
}

template <typename Real>
Real apply(const Epilogue& epilogue, uint32_t n, size_t y_index, Real value) {
  if (epilogue.bias != nullptr) value += Real{epilogue.bias[n]};
  value = activate(epilogue.activation, value);
  if (epilogue.multiplier != nullptr) {
    value *= Real{epilogue.multiplier[y_index]};
  }
  if (epilogue.residual != nullptr) value += Real{epilogue.residual[y_index]};
  return value;
}

}  // namespace

Status check_epilogue(const Epilogue& epilogue) {
  if (epilogue.activation <= TSR_EPILOGUE_GELU_TANH) return {};
  return Status(TSR_INVALID_ARGUMENT, "epilogue activation " +
                                          std::to_string(epilogue.activation) +
                                          " is unknown");
}

double apply_epilogue(const Epilogue& epilogue, uint32_t n, size_t y_index,
                      double value) {
  return apply(epilogue, n, y_index, value);
}

float apply_epilogue(const Epilogue& epilogue, uint32_t n, size_t y_index,
                     float value) {
  return apply(epilogue, n, y_index, value);
}

}  // namespace tessera::reference
