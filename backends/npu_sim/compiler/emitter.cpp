// SPDX-License-Identifier: Apache-2.0
//
// One function for each opcode.

#include "backends/npu_sim/compiler/emitter.hpp"

namespace tessera::npu {

Instruction& Emitter::add(Opcode opcode, Pipe pipe) {
  Instruction& one = out_.emplace_back();
  one.opcode = opcode;
  one.pipe = pipe;
  return one;
}

void Emitter::set(Pipe from, Pipe to, int64_t flag) {
  Instruction& one = add(Opcode::kSetFlag, from);
  one.peer = to;
  one.flag = static_cast<uint8_t>(flag);
}

void Emitter::wait(Pipe from, Pipe to, int64_t flag) {
  Instruction& one = add(Opcode::kWaitFlag, to);
  one.peer = from;
  one.flag = static_cast<uint8_t>(flag);
}

void Emitter::set_sibling(Pipe from, Pipe to, int64_t flag, int64_t sibling) {
  set(from, to, flag);
  out_.back().cross_core = true;
  out_.back().sibling = static_cast<uint8_t>(sibling);
}

void Emitter::wait_sibling(Pipe from, Pipe to, int64_t flag, int64_t sibling) {
  wait(from, to, flag);
  out_.back().cross_core = true;
  out_.back().sibling = static_cast<uint8_t>(sibling);
}

void Emitter::sync_all() { add(Opcode::kSyncAll, Pipe::kScalar); }

Instruction& Emitter::copy_in(Space space, int64_t dst,
                              const Rectangle& source) {
  Instruction& one = add(Opcode::kCopyIn, Pipe::kMte2);
  one.src_space = Space::kGm;
  one.dst_space = space;
  one.src = source.address;
  one.dst = static_cast<uint64_t>(dst);
  one.m = static_cast<uint32_t>(source.rows);
  one.row_bytes = static_cast<uint32_t>(source.row_bytes);
  one.row_stride = static_cast<uint64_t>(source.row_stride);
  return one;
}

Instruction& Emitter::copy_out(int64_t src, const Rectangle& target) {
  Instruction& one = add(Opcode::kCopyOut, Pipe::kMte3);
  one.src_space = Space::kUb;
  one.dst_space = Space::kGm;
  one.src = static_cast<uint64_t>(src);
  one.dst = target.address;
  one.m = static_cast<uint32_t>(target.rows);
  one.row_bytes = static_cast<uint32_t>(target.row_bytes);
  one.row_stride = static_cast<uint64_t>(target.row_stride);
  return one;
}

Instruction& Emitter::load_a(int64_t dst, int64_t src, int64_t m, int64_t k) {
  Instruction& one = add(Opcode::kLoadA, Pipe::kMte1);
  one.src_space = Space::kL1;
  one.dst_space = Space::kL0a;
  one.dst = static_cast<uint64_t>(dst);
  one.src = static_cast<uint64_t>(src);
  one.m = static_cast<uint32_t>(m);
  one.k = static_cast<uint32_t>(k);
  return one;
}

Instruction& Emitter::load_b(int64_t dst, int64_t src, int64_t n, int64_t k) {
  Instruction& one = add(Opcode::kLoadB, Pipe::kMte1);
  one.src_space = Space::kL1;
  one.dst_space = Space::kL0b;
  one.dst = static_cast<uint64_t>(dst);
  one.src = static_cast<uint64_t>(src);
  one.n = static_cast<uint32_t>(n);
  one.k = static_cast<uint32_t>(k);
  return one;
}

Instruction& Emitter::mmad(int64_t dst, int64_t m, int64_t n, int64_t k) {
  Instruction& one = add(Opcode::kMmad, Pipe::kCube);
  one.src_space = Space::kL0a;
  one.dst_space = Space::kL0c;
  one.dst = static_cast<uint64_t>(dst);
  one.m = static_cast<uint32_t>(m);
  one.n = static_cast<uint32_t>(n);
  one.k = static_cast<uint32_t>(k);
  return one;
}

Instruction& Emitter::fixpipe(int64_t src, int64_t m, int64_t n,
                              const Rectangle& target) {
  Instruction& one = add(Opcode::kFixpipe, Pipe::kFixpipe);
  one.src_space = Space::kL0c;
  one.dst_space = Space::kGm;
  one.src = static_cast<uint64_t>(src);
  one.dst = target.address;
  one.m = static_cast<uint32_t>(m);
  one.n = static_cast<uint32_t>(n);
  one.row_bytes = static_cast<uint32_t>(target.row_bytes);
  one.row_stride = static_cast<uint64_t>(target.row_stride);
  return one;
}

Instruction& Emitter::drain(int64_t dst, int64_t src, int64_t m, int64_t n) {
  Instruction& one = add(Opcode::kDrain, Pipe::kVector);
  one.src_space = Space::kL0c;
  one.dst_space = Space::kUb;
  one.type = Type::kF32;
  one.dst = static_cast<uint64_t>(dst);
  one.src = static_cast<uint64_t>(src);
  one.m = static_cast<uint32_t>(m);
  one.n = static_cast<uint32_t>(n);
  return one;
}

Instruction& Emitter::vector(int64_t at, int64_t elements,
                             double elements_per_cycle) {
  Instruction& one = add(Opcode::kVector, Pipe::kVector);
  one.src_space = Space::kUb;
  one.dst_space = Space::kUb;
  one.dst = static_cast<uint64_t>(at);
  one.src = static_cast<uint64_t>(at);
  one.m = 1;
  one.n = static_cast<uint32_t>(elements);
  one.elements_per_cycle = static_cast<float>(elements_per_cycle);
  return one;
}

void Emitter::further_passes(double count, double elements_per_cycle,
                             bool conflicts) {
  const Instruction first = out_.back();
  for (double i = 0; i < count; ++i) {
    Instruction& one = vector(0, first.n, elements_per_cycle);
    one.m = first.m;
    one.dst = first.src;
    one.src = first.src;
    one.type = first.type;
    one.out_type = first.type;
    one.conflicts = conflicts;
    one.function = first.function == VectorFunction::kNone
                       ? VectorFunction::kNone
                       : VectorFunction::kPart;
  }
}

void Emitter::scalar(double cycles) {
  add(Opcode::kScalar, Pipe::kScalar).cycles = static_cast<float>(cycles);
}

}  // namespace tessera::npu
