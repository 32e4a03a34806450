// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/timeline.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <string>

#include "framework/host/device/device.hpp"
#include "framework/host/device/plugin_error.hpp"
#include "framework/host/device/timeline_cells.hpp"
#include "framework/host/services/futex.hpp"

namespace tessera {
namespace {

constexpr uint64_t kFailed = UINT64_MAX;

// Sleepers look again this often, in case a device raised the value without
// waking anybody.
constexpr uint64_t kLookAgainNs = 20'000'000;

std::atomic_ref<uint64_t> value_of(tsr_timeline& cell) {
  return std::atomic_ref<uint64_t>(cell.value);
}

// The half of the value that changes from step to step.
const uint32_t* futex_word(const tsr_timeline& cell) {
  static_assert(std::endian::native == std::endian::little);
  return reinterpret_cast<const uint32_t*>(&cell.value);
}

tsr_status status_at(tsr_timeline& cell, uint64_t reached) {
  if (reached != kFailed) return TSR_OK;
  return std::atomic_ref<int32_t>(cell.status).load(std::memory_order_acquire);
}

// Nanoseconds left until a deadline that may be never.
class Deadline {
 public:
  explicit Deadline(uint64_t timeout_ns) : timeout_ns_(timeout_ns) {}

  uint64_t left() const {
    if (timeout_ns_ == UINT64_MAX) return UINT64_MAX;
    const auto passed = std::chrono::steady_clock::now() - begin_;
    const auto passed_ns =
        static_cast<uint64_t>(std::chrono::nanoseconds(passed).count());
    return passed_ns >= timeout_ns_ ? 0 : timeout_ns_ - passed_ns;
  }

 private:
  uint64_t timeout_ns_;
  std::chrono::steady_clock::time_point begin_ =
      std::chrono::steady_clock::now();
};

tsr_status sleep_until_reached(tsr_timeline& cell, uint64_t value,
                               const Deadline& deadline) {
  std::atomic_ref<uint32_t> waiters(cell.waiters);
  waiters.fetch_add(1);
  uint64_t reached = value_of(cell).load();
  uint64_t left = deadline.left();
  while (reached < value && left > 0) {
    futex_wait(futex_word(cell), static_cast<uint32_t>(reached),
               std::min(left, kLookAgainNs), FutexScope::kShared);
    reached = value_of(cell).load();
    left = deadline.left();
  }
  waiters.fetch_sub(1);
  return reached < value ? TSR_DEADLINE_EXCEEDED : status_at(cell, reached);
}

}  // namespace

void signal_timeline(tsr_timeline& cell, uint64_t value, tsr_status status) {
  if (status != TSR_OK) {
    // The first failure is the one that explains the others.
    int32_t none = TSR_OK;
    std::atomic_ref<int32_t>(cell.status).compare_exchange_strong(none, status);
    value = kFailed;
  }
  uint64_t before = value_of(cell).load(std::memory_order_relaxed);
  while (before < value &&
         !value_of(cell).compare_exchange_weak(before, value)) {
  }
  // Sequentially consistent, like the waiter's: either it sees the value before
  // it sleeps, or this sees that it waits.
  if (std::atomic_ref<uint32_t>(cell.waiters).load() > 0) {
    futex_wake(futex_word(cell), UINT32_MAX, FutexScope::kShared);
  }
}

tsr_status wait_timeline(tsr_timeline& cell, uint64_t value,
                         uint64_t timeout_ns) {
  uint64_t reached = value_of(cell).load(std::memory_order_acquire);
  if (reached >= value) return status_at(cell, reached);
  const Deadline deadline(timeout_ns);
  for (Spinner spinner; reached < value && spinner.spin();) {
    reached = value_of(cell).load(std::memory_order_acquire);
  }
  if (reached >= value) return status_at(cell, reached);
  return sleep_until_reached(cell, value, deadline);
}

Timeline::Timeline() : id_(next_host_id()), cell_(alloc_timeline_cell()) {}

Timeline::~Timeline() {
  for (const auto& device : devices_) {
    device->api().timeline_forget(device->handle(), id_);
  }
  free_timeline_cell(cell_);
}

Result<uint64_t> Timeline::import_into(std::shared_ptr<Device> device) {
  if (cell_ == nullptr) {
    return Status(TSR_RESOURCE_EXHAUSTED, "no shared memory for a timeline");
  }
  ErrorSlot error;
  const tsr_status code =
      device->api().timeline_import(device->handle(), id_, cell_, &error);
  TSR_RETURN_IF_ERROR(device->from_plugin(code, error, "timeline_import"));
  devices_.push_back(std::move(device));
  return id_;
}

uint64_t Timeline::value() const {
  return cell_ == nullptr ? kFailed
                          : value_of(*cell_).load(std::memory_order_acquire);
}

tsr_status Timeline::status() const {
  return cell_ == nullptr ? TSR_RESOURCE_EXHAUSTED : status_at(*cell_, value());
}

Status Timeline::wait(uint64_t value, uint64_t timeout_ns) const {
  const tsr_status code = cell_ == nullptr
                              ? TSR_RESOURCE_EXHAUSTED
                              : wait_timeline(*cell_, value, timeout_ns);
  if (code == TSR_OK) return {};
  const std::string what = code == TSR_DEADLINE_EXCEEDED
                               ? "not reached in time"
                               : "failed with " + status_name(code);
  return {code, "timeline value " + std::to_string(value) + ": " + what};
}

void Timeline::signal(uint64_t value) {
  if (cell_ != nullptr) signal_timeline(*cell_, value, TSR_OK);
}

void Timeline::fail(tsr_status status) {
  if (cell_ != nullptr) signal_timeline(*cell_, kFailed, status);
}

}  // namespace tessera
