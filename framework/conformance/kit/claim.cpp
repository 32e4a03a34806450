// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/claim.hpp"

#include <exception>

#include "framework/conformance/kit/trial/weight_descs.hpp"
#include "tessera/capability.hpp"

namespace tessera::conformance {

Result<Answer> Claim::judge(const OpSetup& setup, uint32_t phase,
                            uint32_t M) const {
  const std::vector<std::byte> record = setup.question();
  const WeightDescs weights(setup.weights());
  const tsr_array rows{rows_.data(), static_cast<uint32_t>(rows_.size()),
                       sizeof(tsr_kernel_desc)};
  try {  // the edge where the SDK's exceptions end
    const sdk::ProgramView view(
        reinterpret_cast<const tsr_program_desc*>(record.data()));
    const sdk::ProgramQuestion question{view, weights.all(), setup.kv_pools()};
    const std::vector<tsr_refusal> refusals =
        sdk::check_against(rows, question);
    if (!refusals.empty()) {
      return Answer{false, "", refusals.front().reason,
                    refusals.front().message};
    }
    const auto row =
        sdk::find_row(rows, sdk::read_op_facts(question, 0), phase, M);
    if (!row) return Answer{false, "", TSR_REFUSED_SHAPE, "no row"};
    return Answer{true, rows_[*row].name, 0, ""};
  } catch (const std::exception& error) {
    return Status(TSR_INVALID_ARGUMENT, error.what());
  }
}

uint32_t fit(const tsr_range& range, uint32_t value) {
  return static_cast<uint32_t>(sdk::detail::nearest_in_range(range, value));
}

std::vector<uint32_t> values_in(uint32_t mask) {
  std::vector<uint32_t> values;
  for (uint32_t bit = 0; bit < 32; ++bit) {
    if ((mask >> bit & 1U) != 0) values.push_back(bit);
  }
  return values;
}

}  // namespace tessera::conformance
