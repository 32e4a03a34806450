// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/weight_loader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <new>
#include <numeric>
#include <utility>

#include "framework/host/device/device.hpp"
#include "framework/host/device/plugin_error.hpp"
#include "tessera/record.hpp"

namespace tessera {
namespace {

// Large enough that a slice's own cost is nothing, small enough that those in
// flight are little beside a weight.
constexpr uint64_t kSliceBytes = uint64_t{4} << 20;

// Planes of these roles come with the slices, the others with the transaction.
bool is_large(uint32_t role) {
  return role == TSR_PLANE_CODES || role == TSR_PLANE_SCALE ||
         role == TSR_PLANE_ZERO_POINT || role == TSR_PLANE_MIN;
}

bool is_sparse(uint32_t format) {
  return format == TSR_WEIGHT_SPARSE_FIXED ||
         format == TSR_WEIGHT_SPARSE_ENTROPY;
}

// True if each slice has rows of its own of this plane.
bool is_cut(const tsr_plane& plane, uint32_t N) {
  return plane.block_n != 0 && plane.block_n < N;
}

uint64_t plane_bytes(const tsr_plane& plane) {
  return uint64_t{plane.rows} * plane.row_bytes;
}

template <typename Predicate>
std::vector<tsr_plane> with_data(std::vector<tsr_plane> planes,
                                 Predicate keeps) {
  for (tsr_plane& plane : planes) {
    if (!keeps(plane)) plane.data = nullptr;
  }
  return planes;
}

}  // namespace

std::vector<tsr_plane> cut_planes(const std::vector<tsr_plane>& planes,
                                  uint32_t N, uint32_t n_begin,
                                  uint32_t n_end) {
  std::vector<tsr_plane> slice = planes;
  for (tsr_plane& plane : slice) {
    if (!is_cut(plane, N)) {
      if (plane.block_n != 0) plane.block_n = n_end - n_begin;
      continue;
    }
    const uint32_t first = n_begin / plane.block_n;
    if (plane.data != nullptr) {
      plane.data =
          static_cast<const std::byte*>(plane.data) + first * plane.row_bytes;
    }
    plane.rows = (n_end - 1) / plane.block_n - first + 1;
  }
  return slice;
}

uint32_t choose_slice_rows(const tsr_weight_desc& desc, uint32_t n_multiple,
                           uint32_t num_threads) {
  if (is_sparse(desc.format)) return desc.N;
  uint64_t step = std::clamp<uint64_t>(n_multiple, 1, desc.N);
  uint64_t bytes = 0;
  for (const tsr_plane& plane : sdk::Elements<tsr_plane>(desc.planes).all()) {
    bytes += plane_bytes(plane);
    if (is_cut(plane, desc.N)) step = std::lcm(step, plane.block_n);
    if (step >= desc.N) return desc.N;
  }
  const uint64_t row_bytes = std::max<uint64_t>(1, bytes / desc.N);
  const uint64_t per_thread = (desc.N + num_threads - 1) / num_threads;
  const uint64_t wanted = std::min(kSliceBytes / row_bytes, per_thread);
  const uint64_t rows =
      (std::max<uint64_t>(wanted, 1) + step - 1) / step * step;
  return static_cast<uint32_t>(std::min<uint64_t>(rows, desc.N));
}

WeightLoader::WeightLoader(Device& device, const tsr_weight_desc& desc)
    : device_(device),
      desc_(desc),
      planes_(sdk::Elements<tsr_plane>(desc.planes).all()) {
  desc_.struct_size = sizeof(desc_);
  for (tsr_plane& plane : planes_) plane.struct_size = sizeof(plane);
}

tsr_weight_desc WeightLoader::desc_of(const std::vector<tsr_plane>& planes,
                                      uint32_t rows) const {
  tsr_weight_desc desc = desc_;
  desc.N = rows;
  desc.planes = {planes.data(), static_cast<uint32_t>(planes.size()),
                 sizeof(tsr_plane)};
  return desc;
}

Status WeightLoader::query() {
  if (desc_.N == 0 || desc_.K == 0) {
    return {TSR_INVALID_ARGUMENT,
            fmt::format("weight [{}, {}]", desc_.N, desc_.K)};
  }
  const std::vector<tsr_plane> shapes =
      with_data(planes_, [](const tsr_plane&) { return false; });
  TSR_ASSIGN_OR_RETURN(info_, device_.query_weight(desc_of(shapes, desc_.N)));
  return {};
}

Result<Weight> WeightLoader::load() {
  for (const tsr_plane& plane : planes_) {
    if (plane.data != nullptr || plane_bytes(plane) == 0) continue;
    return Status(
        TSR_INVALID_ARGUMENT,
        fmt::format("weight: plane of role {} has no data", plane.role));
  }
  TSR_RETURN_IF_ERROR(query());
  if (info_.bytes == 0) return create_in_place();
  return pack(
      [this](uint32_t n_begin, uint32_t n_end, const SliceConsumer& consume) {
        const std::vector<tsr_plane> slice =
            cut_planes(planes_, desc_.N, n_begin, n_end);
        return consume(desc_of(slice, n_end - n_begin));
      });
}

Result<Weight> WeightLoader::load(const SliceProducer& produce) {
  TSR_RETURN_IF_ERROR(query());
  if (info_.bytes != 0 && info_.keeps_raw == 0) return pack(produce);
  TSR_RETURN_IF_ERROR(gather(produce));
  TSR_ASSIGN_OR_RETURN(Weight weight, load());
  weight.planes_ = std::move(gathered_);
  return weight;
}

Result<Weight> WeightLoader::create_in_place() {
  const tsr_weight_desc desc = desc_of(planes_, desc_.N);
  const uint64_t id = next_host_id();
  ErrorSlot error;
  const tsr_status code =
      device_.api().weight_create(device_.handle(), id, &desc, 0, 0, &error);
  TSR_RETURN_IF_ERROR(device_.from_plugin(code, error, "weight_create"));
  Weight weight;
  weight.object_ =
      DeviceObject(device_.shared_from_this(), id, &tsr_api::weight_destroy);
  weight.in_place_ = true;
  for (const tsr_plane& plane : planes_) {
    weight.packed_bytes_ += plane_bytes(plane);
  }
  return weight;
}

Result<Weight> WeightLoader::pack(const SliceProducer& produce) {
  Weight weight;
  TSR_ASSIGN_OR_RETURN(weight.buffer_,
                       device_.create_buffer(info_.bytes, info_.memory_kind));
  const std::vector<tsr_plane> small = with_data(
      planes_, [](const tsr_plane& plane) { return !is_large(plane.role); });
  const tsr_weight_desc desc = desc_of(small, desc_.N);
  const uint64_t id = next_host_id();
  const tsr_api& api = device_.api();
  tsr_packing* packing = nullptr;
  ErrorSlot error;
  tsr_status code = api.packing_begin(device_.handle(), id, &desc,
                                      weight.buffer_.id(), 0, &error, &packing);
  TSR_RETURN_IF_ERROR(device_.from_plugin(code, error, "packing_begin"));
  const Status packed = pack_slices(packing, produce);
  code = api.packing_end(packing, packed.ok() ? 1 : 0, &error);
  TSR_RETURN_IF_ERROR(packed);
  TSR_RETURN_IF_ERROR(device_.from_plugin(code, error, "packing_end"));
  weight.object_ =
      DeviceObject(device_.shared_from_this(), id, &tsr_api::weight_destroy);
  weight.packed_bytes_ = info_.bytes;
  weight.layout_ = info_.layout;
  weight.in_place_ = info_.keeps_raw != 0;
  return weight;
}

Status WeightLoader::pack_slices(tsr_packing* packing,
                                 const SliceProducer& produce) {
  return for_slices([&](uint32_t n_begin, uint32_t n_end) {
    return produce(n_begin, n_end, [&](const tsr_weight_desc& slice) {
      ErrorSlot error;
      const tsr_status code =
          device_.api().packing_slice(packing, n_begin, n_end, &slice, &error);
      return device_.from_plugin(code, error, "packing_slice");
    });
  });
}

Status WeightLoader::gather(const SliceProducer& produce) {
  for (tsr_plane& plane : planes_) {
    if (plane.data != nullptr) continue;
    auto* memory = new (std::nothrow) std::byte[plane_bytes(plane)];
    if (memory == nullptr) {
      return {TSR_RESOURCE_EXHAUSTED,
              fmt::format("no host memory for a plane of {} bytes",
                          plane_bytes(plane))};
    }
    gathered_.emplace_back(memory);
    plane.data = memory;
  }
  return for_slices([&](uint32_t n_begin, uint32_t n_end) {
    return produce(n_begin, n_end, [&](const tsr_weight_desc& slice) {
      return store(slice, n_begin, n_end);
    });
  });
}

// Copies a slice's planes to their places among all rows.
Status WeightLoader::store(const tsr_weight_desc& slice, uint32_t n_begin,
                           uint32_t n_end) {
  const std::vector<tsr_plane> places =
      cut_planes(planes_, desc_.N, n_begin, n_end);
  const std::vector<tsr_plane> from =
      sdk::Elements<tsr_plane>(slice.planes).all();
  if (from.size() != places.size()) {
    return {TSR_INVALID_ARGUMENT, fmt::format("slice of {} planes, not {}",
                                              from.size(), places.size())};
  }
  for (size_t i = 0; i < places.size(); ++i) {
    if (!is_large(places[i].role)) continue;
    // A plane that serves all rows comes with every slice.
    if (!is_cut(planes_[i], desc_.N) && n_begin != 0) continue;
    if (from[i].role != places[i].role || from[i].rows != places[i].rows ||
        from[i].row_bytes != places[i].row_bytes || from[i].data == nullptr) {
      return {TSR_INVALID_ARGUMENT,
              fmt::format("slice from row {}: plane {} differs", n_begin, i)};
    }
    // These are the rows that gather() allocated.
    std::memcpy(const_cast<void*>(places[i].data), from[i].data,
                plane_bytes(places[i]));
  }
  return {};
}

Status WeightLoader::for_slices(const Body& body) {
  struct Run {
    const Body& body;
    uint32_t N;
    uint32_t rows;
    std::atomic<bool> failed{false};
    std::mutex mutex{};
    Status first{};
  };
  ThreadPool& pool = device_.plugin().pool();
  Run run{body, desc_.N,
          choose_slice_rows(desc_of(planes_, desc_.N), info_.n_multiple,
                            pool.num_threads())};
  const auto task = [](void* context, uint32_t index) {
    Run& self = *static_cast<Run*>(context);
    if (self.failed.load()) return;
    const uint32_t n_begin = index * self.rows;
    const uint32_t n_end = n_begin + std::min(self.rows, self.N - n_begin);
    Status status = self.body(n_begin, n_end);
    if (status.ok() || self.failed.exchange(true)) return;
    const std::lock_guard<std::mutex> lock(self.mutex);
    self.first = std::move(status);
  };
  pool.parallel_for((desc_.N - 1) / run.rows + 1, task, &run);
  return run.first;
}

}  // namespace tessera
