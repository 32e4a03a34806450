// SPDX-License-Identifier: Apache-2.0

#include "framework/host/barring/barred_kernels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <set>
#include <string_view>

#include "tessera/capability.hpp"

namespace tessera {
namespace {

template <typename Element>
tsr_array array_of(std::span<const Element> elements) {
  return {elements.data(), static_cast<uint32_t>(elements.size()),
          sizeof(Element)};
}

// Cases that try one thing with each kernel: "L1/coverage/linear_q_i8".
constexpr std::string_view kGroups[] = {"changing_sizes", "changing_steps",
                                        "coverage", "packed_again"};

// The kernel that a case tries: "linear_q_i8" of "L1/linear_q_i8/M5_N17_K96"
// and of "L1/coverage/linear_q_i8"; "" of a case that is of no kernel of
// `facts`.
std::string kernel_of_case(const DeviceFacts& facts, std::string_view id) {
  constexpr std::string_view kLevel = "L1/";
  if (!id.starts_with(kLevel)) return "";
  id.remove_prefix(kLevel.size());
  for (const std::string_view group : kGroups) {
    if (id.starts_with(group) && id.substr(group.size()).starts_with('/')) {
      id.remove_prefix(group.size() + 1);
      break;
    }
  }
  const std::string name(id.substr(0, id.find('/')));
  const bool known =
      std::any_of(facts.kernels.begin(), facts.kernels.end(),
                  [&](const tsr_kernel_desc& row) { return name == row.name; });
  return known ? name : "";
}

// Numbers of rows between which another kernel may take over.
std::set<uint32_t> row_counts(const std::vector<tsr_kernel_desc>& rows,
                              const sdk::OpFacts& facts) {
  std::set<uint32_t> counts = {facts.M};
  if (!facts.M_varies) return counts;
  const auto add = [&](uint64_t count) {
    if (count >= 1 && count <= facts.M) {
      counts.insert(static_cast<uint32_t>(count));
    }
  };
  for (uint64_t count = 1; count <= 4; ++count) add(count);
  for (const tsr_kernel_desc& row : rows) {
    for (const uint64_t edge :
         {uint64_t{row.M.min}, uint64_t{row.M.max}, uint64_t{row.M.multiple}}) {
      add(edge);
      add(edge + 1);
      if (edge > 1) add(edge - 1);
    }
  }
  return counts;
}

}  // namespace

Status BarredKernels::check_device(const DeviceFacts& facts,
                                   const std::vector<KnownFailure>& failures) {
  for (const KnownFailure& failure : failures) {
    if (!kernel_of_case(facts, failure.id).empty()) continue;
    return {TSR_FAILED_PRECONDITION,
            fmt::format("{} is barred from plans: its certificate names the "
                        "known failure {} ({})",
                        facts.name, failure.id, failure.reason)};
  }
  return {};
}

BarredKernels::BarredKernels(const DeviceFacts& facts,
                             const std::vector<KnownFailure>& failures)
    : facts_(facts) {
  for (const KnownFailure& failure : failures) {
    const std::string name = kernel_of_case(facts, failure.id);
    if (!name.empty()) reasons_.emplace(name, failure.reason);
  }
}

void BarredKernels::add_weight(uint64_t id, const tsr_weight_desc& desc) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Shape& shape = weights_[id];
  shape.desc = desc;
  shape.desc.next = nullptr;
  shape.planes = sdk::Elements<tsr_plane>(desc.planes).all();
  for (tsr_plane& plane : shape.planes) plane.data = nullptr;
  shape.desc.planes = array_of(std::span<const tsr_plane>(shape.planes));
}

void BarredKernels::add_pool(uint64_t id, const tsr_kv_desc& desc) {
  const std::lock_guard<std::mutex> lock(mutex_);
  pools_[id] = desc;
}

const std::string* BarredKernels::find_barred(const sdk::OpFacts& facts,
                                              uint32_t phases) const {
  const tsr_array rows = array_of(std::span(facts_.kernels));
  for (const uint32_t phase : {TSR_PREFILL, TSR_DECODE}) {
    if (phases != 0 && (phases & phase) == 0) continue;
    for (const uint32_t M : row_counts(facts_.kernels, facts)) {
      const auto row = sdk::find_row(rows, facts, phase, M);
      if (!row) continue;
      const auto barred = reasons_.find(facts_.kernels[*row].name);
      if (barred != reasons_.end()) return &barred->first;
    }
  }
  return nullptr;
}

std::vector<tsr_refusal> BarredKernels::refusals(
    std::span<const std::byte> record, std::span<const tsr_weight_desc> weights,
    std::span<const tsr_kv_desc> kv_pools) const {
  std::vector<tsr_refusal> result;
  try {  // the edge where the SDK's exceptions end
    const sdk::ProgramView view(
        reinterpret_cast<const tsr_program_desc*>(record.data()));
    const sdk::ProgramQuestion question{view,
                                        {weights.begin(), weights.end()},
                                        {kv_pools.begin(), kv_pools.end()}};
    for (uint32_t op = 0; op < view.ops().size(); ++op) {
      const std::string* kernel =
          find_barred(sdk::read_op_facts(question, op), view.desc().phases);
      if (kernel == nullptr) continue;
      result.push_back(sdk::make_refusal(
          op, TSR_REFUSED_FEATURE, "kernel", 0, 0,
          fmt::format("{} is barred, a known failure of its certificate: {}",
                      *kernel, reasons_.at(*kernel))));
    }
  } catch (const std::exception&) {
    // A program that is none is the plugin's to refuse.
    return {};
  }
  return result;
}

std::vector<tsr_refusal> BarredKernels::refusals(
    std::span<const std::byte> record) const {
  const auto* program =
      reinterpret_cast<const tsr_program_desc*>(record.data());
  std::vector<tsr_weight_desc> weights;
  std::vector<tsr_kv_desc> pools;
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto ids = [&](const tsr_slice& slice) {
    return sdk::Elements<uint64_t>(record.data() + slice.offset, slice.count,
                                   slice.stride)
        .all();
  };
  for (const uint64_t id : ids(program->weights)) {
    const auto found = weights_.find(id);
    if (found == weights_.end()) return {};
    weights.push_back(found->second.desc);
  }
  for (const uint64_t id : ids(program->kv_pools)) {
    const auto found = pools_.find(id);
    if (found == pools_.end()) return {};
    pools.push_back(found->second);
  }
  return refusals(record, weights, pools);
}

}  // namespace tessera
