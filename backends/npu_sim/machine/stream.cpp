// SPDX-License-Identifier: Apache-2.0
//
// Names, and instructions as text.

#include "backends/npu_sim/machine/stream.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

namespace tessera::npu {
namespace {

constexpr std::array<const char*, kNumPipes> kPipes = {
    "scalar", "cube", "vector", "mte1", "mte2", "mte3", "fixpipe"};
constexpr std::array<const char*, 6> kSpaces = {"gm",  "l1",  "l0a",
                                                "l0b", "l0c", "ub"};
constexpr std::array<const char*, 13> kOpcodes = {
    "set_flag", "wait_flag", "copy_in", "unzip",    "load_a", "load_b",  "mmad",
    "fixpipe",  "drain",     "vector",  "copy_out", "scalar", "sync_all"};

std::string place(Space space, uint64_t offset) {
  return std::string(name_of(space)) + "[" + std::to_string(offset) + "]";
}

std::string flag_text(const Instruction& one) {
  std::string text = one.opcode == Opcode::kSetFlag ? " -> " : " <- ";
  text += name_of(one.peer);
  text += " #" + std::to_string(one.flag);
  if (one.cross_core) text += " of sibling " + std::to_string(one.sibling);
  return text;
}

std::string shape_text(const Instruction& one) {
  std::string text;
  if (one.m != 0) text += " m=" + std::to_string(one.m);
  if (one.n != 0) text += " n=" + std::to_string(one.n);
  if (one.k != 0) text += " k=" + std::to_string(one.k);
  if (one.row_bytes != 0) {
    text += " row=" + std::to_string(one.row_bytes) + "/" +
            std::to_string(one.row_stride);
  }
  if (one.indirection.per_block != 0) {
    text += " by index " + std::to_string(one.indirection.number);
  }
  if (one.stored_bytes != 0) {
    text += " stored=" + std::to_string(one.stored_bytes);
  }
  if (one.accumulate) text += " accumulate";
  if (one.transpose) text += " transpose";
  if (one.nd_to_nz) text += " nd2nz";
  if (one.rearranging) text += " 3d";
  if (one.conflicts) text += " bank_conflicts";
  return text;
}

std::string operands_text(const Instruction& one) {
  switch (one.opcode) {
    case Opcode::kMmad:
      return " " + place(Space::kL0c, one.dst) + " " +
             place(Space::kL0a, one.src) + " " + place(Space::kL0b, one.src2);
    case Opcode::kScalar:
    case Opcode::kSyncAll:
      return {};
    default:
      return " " + place(one.dst_space, one.dst) + " " +
             place(one.src_space, one.src);
  }
}

}  // namespace

const char* name_of(Pipe pipe) { return kPipes.at(static_cast<size_t>(pipe)); }

const char* name_of(Space space) {
  return kSpaces.at(static_cast<size_t>(space));
}

const char* name_of(Opcode opcode) {
  return kOpcodes.at(static_cast<size_t>(opcode));
}

std::string disassemble(const Instruction& one) {
  std::string text = name_of(one.opcode);
  text.resize(std::max<size_t>(text.size(), 9), ' ');
  if (one.opcode == Opcode::kSetFlag || one.opcode == Opcode::kWaitFlag) {
    return text + flag_text(one);
  }
  text += operands_text(one);
  if (one.opcode != Opcode::kScalar && one.opcode != Opcode::kSyncAll) {
    text += std::string(" ") + name_of(one.type);
  }
  return text + shape_text(one);
}

std::string Stream::listing(int64_t max_lines) const {
  std::string text = "; " + label + "\n";
  for (size_t core = 0; core < cores.size(); ++core) {
    text += "core " + std::to_string(core) + ":\n";
    int64_t lines = 0;
    std::vector<Instruction> section;
    for (int64_t i = 0; i < cores[core].num_sections && lines < max_lines;
         ++i) {
      section.clear();
      emit(static_cast<int64_t>(core), i, section);
      for (const Instruction& one : section) {
        if (lines++ == max_lines) break;
        std::string pipe = name_of(one.pipe);
        pipe.resize(8, ' ');
        text += "  " + pipe + disassemble(one) + "\n";
      }
    }
    if (lines > max_lines) text += "  ...\n";
  }
  return text;
}

Stream Stream::of(std::vector<std::vector<Instruction>> lists) {
  Stream stream;
  stream.label = "listed";
  for (size_t i = 0; i < lists.size(); ++i) {
    Core core;
    core.has_cube = true;
    core.has_vector = true;
    core.group = static_cast<int64_t>(i);
    core.num_sections = 1;
    stream.cores.push_back(core);
  }
  auto kept = std::make_shared<const std::vector<std::vector<Instruction>>>(
      std::move(lists));
  stream.emit = [kept](int64_t core, int64_t, std::vector<Instruction>& out) {
    const std::vector<Instruction>& list = (*kept)[static_cast<size_t>(core)];
    out.insert(out.end(), list.begin(), list.end());
  };
  return stream;
}

}  // namespace tessera::npu
