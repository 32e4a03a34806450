// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/limits/device_limits.hpp"

#include <algorithm>
#include <chrono>

namespace tessera::bench {
namespace {

constexpr uint64_t kCopyBytes = uint64_t{1} << 28;
constexpr int kCopies = 8;

}  // namespace

Result<Limit> DeviceLimits::probe_copy() {
  using Clock = std::chrono::steady_clock;
  TSR_ASSIGN_OR_RETURN(const Buffer src, submitter_.fast_buffer(kCopyBytes));
  TSR_ASSIGN_OR_RETURN(const Buffer dst, submitter_.fast_buffer(kCopyBytes));
  Limit best{0.0, "copy within the device"};
  for (int i = 0; i < kCopies; ++i) {
    const Clock::time_point begin = Clock::now();
    TSR_RETURN_IF_ERROR(submitter_.copy(src, dst, kCopyBytes));
    const double ns =
        std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
    best.per_ns = std::max(best.per_ns, 2.0 * double{kCopyBytes} / ns);
  }
  return best;
}

Result<OpLimit> DeviceLimits::limit_of(const TimedOp& op, bool is_copy,
                                       Probe probe) {
  OpLimit limit;
  if (host_ != nullptr) {
    limit.compute = host_->peak(op.cost.compute, probe);
    limit.memory = is_copy ? host_->copy(op.cost.bytes, probe)
                           : host_->read(op.rotated_bytes, probe);
  } else {
    if (copy_.per_ns == 0.0 || probe == Probe::kAgain) {
      TSR_ASSIGN_OR_RETURN(const Limit found, probe_copy());
      if (found.per_ns > copy_.per_ns) copy_ = found;
    }
    limit.memory = copy_;
  }
  const auto time = [](uint64_t amount, const Limit& rate) {
    return rate.per_ns > 0.0 ? static_cast<double>(amount) / rate.per_ns : 0.0;
  };
  const double memory_ns = time(op.cost.bytes, limit.memory);
  const double compute_ns = time(op.cost.operations, limit.compute);
  limit.ns = std::max(memory_ns, compute_ns);
  limit.kind = memory_ns >= compute_ns ? "memory" : "compute";
  return limit;
}

}  // namespace tessera::bench
