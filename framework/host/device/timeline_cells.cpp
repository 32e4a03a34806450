// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/timeline_cells.hpp"

#include <mutex>
#include <utility>
#include <vector>

#include "framework/host/services/shared_memory.hpp"

namespace tessera {
namespace {

constexpr uint64_t kChunkCells = 1024;
constexpr uint64_t kChunkBytes = kChunkCells * sizeof(tsr_timeline);

struct Cells {
  std::mutex mutex;
  std::vector<SharedMemory> chunks;  // never given back
  std::vector<tsr_timeline*> free;
};

// Not destroyed: a plugin's thread may touch a cell until the very end.
Cells& cells() {
  static auto* instance = new Cells;
  return *instance;
}

bool add_chunk(Cells& all) {
  Result<SharedMemory> chunk =
      SharedMemory::create("tessera-timelines", kChunkBytes);
  if (!chunk.ok()) return false;
  auto* first = reinterpret_cast<tsr_timeline*>(chunk->data());
  for (uint64_t i = kChunkCells; i-- > 0;) all.free.push_back(first + i);
  all.chunks.push_back(std::move(*chunk));
  return true;
}

}  // namespace

tsr_timeline* alloc_timeline_cell() {
  Cells& all = cells();
  const std::lock_guard<std::mutex> lock(all.mutex);
  if (all.free.empty() && !add_chunk(all)) return nullptr;
  tsr_timeline* cell = all.free.back();
  all.free.pop_back();
  *cell = {};
  return cell;
}

void free_timeline_cell(tsr_timeline* cell) {
  if (cell == nullptr) return;
  Cells& all = cells();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.free.push_back(cell);
}

bool find_timeline_cell(const tsr_timeline* cell, TimelinePlace* out_place) {
  Cells& all = cells();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto address = reinterpret_cast<uintptr_t>(cell);
  for (const SharedMemory& chunk : all.chunks) {
    const auto begin = reinterpret_cast<uintptr_t>(chunk.data());
    if (address < begin || address - begin >= chunk.bytes()) continue;
    *out_place = {chunk.fd(), chunk.bytes(), address - begin};
    return true;
  }
  return false;
}

}  // namespace tessera
