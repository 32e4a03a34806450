// SPDX-License-Identifier: Apache-2.0
//
// Turns an op record into a CompiledOp; one function per kind of op.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "backends/cpu/program.hpp"
#include "tessera/record.hpp"

namespace tessera::cpu {

// What compiling an op may look at.
struct CompileInput {
  CpuDevice& device;
  const sdk::ProgramView& program;
  const sdk::OpRecord& op;
  // Where the address of a tensor's memory will be during a step.
  const std::function<char* const*(uint32_t tensor)>& base_of;

  // Throws INVALID_ARGUMENT if there is no such tensor.
  TensorRows rows(uint32_t tensor) const;
  // The same, or nothing for TSR_NONE.
  std::unique_ptr<TensorRows> optional_rows(uint32_t tensor) const;
};

// Throws INVALID_ARGUMENT, UNIMPLEMENTED or NOT_FOUND, saying why.
std::unique_ptr<CompiledOp> compile_op(const CompileInput& input);

// Ids of the tensors an op reads and writes.
std::vector<uint32_t> tensors_of(const sdk::OpRecord& op);

// One per kind, in compile_<kind>.cpp.
std::unique_ptr<CompiledOp> compile_linear(const CompileInput& input);
std::unique_ptr<CompiledOp> compile_attention(const CompileInput& input);
std::unique_ptr<CompiledOp> compile_kv_append(const CompileInput& input);
std::unique_ptr<CompiledOp> compile_row_op(const CompileInput& input);

}  // namespace tessera::cpu
