// SPDX-License-Identifier: Apache-2.0

#include "framework/host/recording/replay.hpp"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include "framework/host/device/plugin_error.hpp"
#include "framework/host/device/timeline.hpp"
#include "framework/host/recording/replayer.hpp"
#include "tessera/record.hpp"

namespace tessera::recording {
namespace {

// Of memory that a recording may ask this program for at once.
constexpr uint64_t kMaxHostBytes = uint64_t{1} << 32;
constexpr uint64_t kMaxStructs = 65536;

void read_into(WireReader& reader, std::span<const std::byte> bytes) {
  std::byte* place = reader.reset(bytes.size());
  if (!bytes.empty()) std::memcpy(place, bytes.data(), bytes.size());
}

// The answer that was recorded.
struct Answer {
  explicit Answer(std::span<const std::byte> bytes) {
    read_into(results, bytes);
    status = results.get<int64_t>();
    results.get<uint64_t>();  // what may be tried again
    message = results.get_text();
  }

  WireReader results;
  int64_t status = TSR_OK;
  std::string message;
};

std::string in_brackets(const std::string& message) {
  return message.empty() ? "" : " (" + message + ")";
}

}  // namespace

HostMemory::HostMemory(uint64_t bytes) {
  if (bytes > kMaxHostBytes) return;
  size_t room = bytes + 2 * kHostAlignment;
  owned_.reset(std::calloc(1, room));
  void* place = owned_.get();
  if (place == nullptr) return;
  data_ = static_cast<std::byte*>(
      std::align(kHostAlignment, bytes + kHostAlignment, place, room));
}

Result<ReplayResult> Replayer::run() {
  for (const Entry& entry : recording_.entries) {
    if (entry.kind == EntryKind::kContents) {
      take_contents(entry);
      continue;
    }
    if (entry.plugin != options_.plugin) continue;
    compare_contents();
    TSR_RETURN_IF_ERROR(make_call(entry));
  }
  compare_contents();
  return std::move(result_);
}

Status Replayer::make_call(const Entry& entry) {
  now_ = &entry;
  unknown_.clear();
  read_into(arguments_, entry.body);
  outputs_.clear();
  skips_results_ = false;
  if (options_.begins) options_.begins(entry.number, entry.call);
  ErrorSlot error;
  const auto index = static_cast<size_t>(entry.call) - 1;
  const tsr_status status = (this->*kHandlers[index])(&error);
  if (unknown_.empty() && !arguments_.ok()) cut_short();
  if (!unknown_.empty()) {
    return {TSR_INVALID_ARGUMENT, fmt::format("call {} ({}): {}", entry.number,
                                              call_name(entry.call), unknown_)};
  }
  ++result_.calls;
  compare(status, error);
  return {};
}

void Replayer::differ(const std::string& what) {
  ++result_.differences;
  if (options_.differs) options_.differs(now_->number, now_->call, what);
}

void Replayer::compare(tsr_status status, const tsr_error& error) {
  if (now_->answer.empty()) {
    result_.survived = fmt::format("call {} ({}) answers {}", now_->number,
                                   call_name(now_->call), status);
    return;
  }
  const Answer answer(now_->answer);
  if (answer.status != status) {
    const std::string text(error.message,
                           strnlen(error.message, sizeof(error.message)));
    differ(fmt::format("answers {}{}, recorded {}{}", status,
                       in_brackets(status == TSR_OK ? "" : text), answer.status,
                       in_brackets(answer.message)));
    return;
  }
  if (skips_results_ || status != TSR_OK) return;
  const std::span<const std::byte> recorded = answer.results.rest();
  const std::span<const std::byte> made = outputs_.bytes();
  if (!std::equal(made.begin(), made.end(), recorded.begin(), recorded.end())) {
    differ("answers other results");
  }
}

tsr_status Replayer::cannot(const std::string& why) {
  unknown_ = why;
  return TSR_OK;
}

ReplayedDevice* Replayer::get_device() {
  const auto found = devices_.find(arguments_.get<uint64_t>());
  if (found != devices_.end()) return &found->second;
  cannot("there is no such device");
  return nullptr;
}

ReplayedObject* Replayer::get_object(
    std::map<uint64_t, ReplayedObject>& objects, const char* what) {
  if (get_device() == nullptr) return nullptr;
  const auto found = objects.find(arguments_.get<uint64_t>());
  if (found != objects.end()) return &found->second;
  cannot(fmt::format("there is no such {}", what));
  return nullptr;
}

uint32_t Replayer::get_u32() {
  return static_cast<uint32_t>(arguments_.get<uint64_t>());
}

uint32_t Replayer::get_capacity() {
  return static_cast<uint32_t>(
      std::min(arguments_.get<uint64_t>(), kMaxStructs));
}

uint64_t Replayer::recorded_ordinal() const {
  if (now_->answer.empty()) return 0;
  Answer answer(now_->answer);
  return answer.status == TSR_OK ? answer.results.get<uint64_t>() : 0;
}

std::vector<Replayer::Point> Replayer::reach_waits(const ReplayedDevice& device,
                                                   const tsr_submission* work) {
  std::vector<Point> signals;
  const auto each = [&](const sdk::Elements<tsr_point>& points,
                        const auto& visit) {
    for (uint32_t i = 0; i < points.size(); ++i) {
      const auto found = device.timelines.find(points[i].timeline);
      if (found == device.timelines.end()) continue;
      visit(Point{&found->second->cell, points[i].value});
    }
  };
  try {  // the edge where the SDK's exceptions end
    const sdk::SubmissionView view(work);
    each(view.waits(), [](const Point& point) {
      signal_timeline(*point.cell, point.value, TSR_OK);
    });
    each(view.signals(), [&](const Point& point) { signals.push_back(point); });
  } catch (const std::exception&) {
    // Malformed: the plugin's to refuse.
    return {};
  }
  return signals;
}

void Replayer::settle(ReplayedDevice& device,
                      const std::vector<Point>& signals) {
  struct {
    uint64_t settled;
    int64_t status;
  } recorded{};
  if (!now_->answer.empty()) {
    recorded = Answer(now_->answer).results.get<decltype(recorded)>();
  }
  int64_t status = TSR_OK;
  for (const Point& point : signals) {
    const tsr_status one =
        wait_timeline(*point.cell, point.value, options_.limit_ns);
    if (status == TSR_OK) status = one;
  }
  if (recorded.settled == 0) return;
  written_ = &device;
  if (recorded.status == status) return;
  differ(
      fmt::format("work ends with {}, recorded {}", status, recorded.status));
}

void Replayer::take_contents(const Entry& entry) {
  WireReader reader;
  read_into(reader, entry.body);
  const auto device = devices_.find(reader.get<uint64_t>());
  if (device == devices_.end()) return;  // of another plugin
  const auto id = reader.get<uint64_t>();
  const auto when = reader.get<uint64_t>();
  const auto offset = reader.get<uint64_t>();
  const std::span<const std::byte> bytes = reader.get_bytes();
  if (when == kBefore) compare_contents();
  const auto found = device->second.buffers.find(id);
  if (found == device->second.buffers.end()) return;
  ReplayedBuffer& buffer = found->second;
  const uint64_t size = buffer.bytes;
  const bool fits = offset <= size && bytes.size() <= size - offset;
  if (buffer.memory == nullptr || bytes.empty() || !fits) return;
  std::memcpy(buffer.known.get() + offset, bytes.data(), bytes.size());
  if (when == kBefore) {
    std::memcpy(buffer.memory + offset, bytes.data(), bytes.size());
  }
}

void Replayer::compare_contents() {
  if (written_ == nullptr) return;
  for (auto& [id, buffer] : written_->buffers) {
    if (buffer.memory == nullptr) continue;
    const std::span<const std::byte> made(buffer.memory, buffer.bytes);
    const std::span<const std::byte> known(buffer.known.get(), buffer.bytes);
    result_.compared_bytes += made.size();
    const auto [first, other] =
        std::mismatch(known.begin(), known.end(), made.begin());
    if (first == known.end()) continue;
    size_t count = 0;
    for (size_t i = 0; i < made.size(); ++i) {
      count += made[i] != known[i] ? 1 : 0;
    }
    differ(fmt::format(
        "writes {} other bytes to buffer {}, the first at {}: {:#04x}, "
        "recorded {:#04x}",
        count, id, first - known.begin(), std::to_integer<int>(*other),
        std::to_integer<int>(*first)));
    std::copy(known.begin(), known.end(), buffer.memory);
  }
  written_ = nullptr;
}

// In the order of Call.
const Replayer::Handler Replayer::kHandlers[] = {
    &Replayer::device_open,     &Replayer::device_close,
    &Replayer::check,           &Replayer::estimate,
    &Replayer::buffer_create,   &Replayer::buffer_import,
    &Replayer::buffer_export,   &Replayer::buffer_map,
    &Replayer::buffer_flush,    &Replayer::buffer_invalidate,
    &Replayer::buffer_destroy,  &Replayer::weight_query,
    &Replayer::packing_begin,   &Replayer::packing_slice,
    &Replayer::packing_end,     &Replayer::weight_create,
    &Replayer::weight_destroy,  &Replayer::kv_query,
    &Replayer::kv_create,       &Replayer::kv_destroy,
    &Replayer::program_create,  &Replayer::program_segment,
    &Replayer::program_destroy, &Replayer::timeline_import,
    &Replayer::timeline_forget, &Replayer::queue_create,
    &Replayer::queue_submit,    &Replayer::queue_destroy,
    &Replayer::profile_read,    &Replayer::device_last_error,
    &Replayer::device_ask,
};

Result<ReplayResult> replay(const Recording& recording, const Plugin& plugin,
                            const ReplayOptions& options) {
  return Replayer(recording, plugin, options).run();
}

}  // namespace tessera::recording
