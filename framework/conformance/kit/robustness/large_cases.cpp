// SPDX-License-Identifier: Apache-2.0
//
// Level 2, what is larger than 32 bits count: copies and bindings behind the
// fourth gibibyte of a buffer.  Its pages are the kernel's zeros, so that the
// case needs no such memory.

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/trial/moved_bytes.hpp"

namespace tessera::conformance {
namespace {

constexpr uint64_t kFar = uint64_t{4} << 30;
constexpr uint64_t kPiece = 4096;
constexpr uint64_t kRoom = uint64_t{1} << 20;  // behind kFar

Status wrong(const std::string& message) { return {TSR_INTERNAL, message}; }

// Memory that is there once it is touched.
class SparseMemory {
 public:
  SparseMemory()
      : pages_(mmap(nullptr, kFar + kRoom, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}
  SparseMemory(const SparseMemory&) = delete;
  SparseMemory& operator=(const SparseMemory&) = delete;
  ~SparseMemory() {
    if (ok()) munmap(pages_, kFar + kRoom);
  }
  bool ok() const { return pages_ != MAP_FAILED; }
  std::byte* data() const { return static_cast<std::byte*>(pages_); }

 private:
  void* pages_;
};

Status unavailable(const std::string& why) { return {TSR_UNAVAILABLE, why}; }

Result<Buffer> import(const std::shared_ptr<Device>& device,
                      const SparseMemory& memory) {
  const Result<uint32_t> kind =
      device->memory_kind_with(TSR_MEMORY_IMPORT_HOST | TSR_MEMORY_COHERENT);
  const bool fits =
      kind.ok() &&
      device->memory_kinds()[*kind].max_alloc_bytes >= kFar + kRoom;
  if (!fits) return unavailable("imports no memory of four gibibytes");
  if (!memory.ok()) return unavailable("this machine has no addresses left");
  Result<Buffer> buffer = device->import_host(memory.data(), kFar + kRoom);
  const bool refused = buffer.status().code() == TSR_UNIMPLEMENTED ||
                       buffer.status().code() == TSR_RESOURCE_EXHAUSTED;
  if (refused) return unavailable("refuses four gibibytes");
  return buffer;
}

// What lies at `near` modulo 2^32 is other than what lies behind kFar.
Status copy_far(CaseContext& context) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  const SparseMemory memory;
  TSR_ASSIGN_OR_RETURN(const Buffer buffer, import(device, memory));
  std::memset(memory.data(), 0x11, kPiece);
  std::memset(memory.data() + kFar, 0x22, kPiece);
  tsr_submission there{};
  there.src = there.dst = buffer.id();
  there.src_offset = kFar;
  there.dst_offset = kFar + 2 * kPiece;
  there.bytes = kPiece;
  TSR_RETURN_IF_ERROR(copy(device, there));
  const std::byte* copied = memory.data() + kFar + 2 * kPiece;
  if (!std::equal(copied, copied + kPiece, memory.data() + kFar)) {
    return wrong("a copy behind 4 GiB of a buffer reads or writes elsewhere");
  }
  const std::byte* near = memory.data() + 2 * kPiece;
  if (std::any_of(near, near + kPiece,
                  [](std::byte byte) { return byte != std::byte{}; })) {
    return wrong("a copy behind 4 GiB writes at the offset modulo 2^32");
  }
  return {};
}

// An op whose first input lies there.
Status bind_far(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  const SparseMemory memory;
  TSR_ASSIGN_OR_RETURN(const Buffer buffer, import(device, memory));
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<OpRun> run,
                       OpRun::prepare(device, trial.setup, Memory::kCreated));
  TSR_RETURN_IF_ERROR(run->upload());
  for (uint32_t i = 0; i < trial.pools.size(); ++i) {
    TSR_RETURN_IF_ERROR(run->write_pool(i, trial.pools[i]));
  }
  TSR_ASSIGN_OR_RETURN(Queue queue, device->create_queue());
  Timeline timeline;
  TSR_ASSIGN_OR_RETURN(const uint64_t id, timeline.import_into(device));
  SubmissionBuilder work = run->submission(id, 1);
  if (work.record().bindings.count == 0) return unavailable("binds nothing");
  tsr_binding& binding = work.binding(0);
  const SetupTensor& tensor = trial.setup.tensor(binding.tensor);
  if (tensor.contents.size() > kRoom) return unavailable("the tensor is large");
  std::memcpy(memory.data() + kFar, tensor.contents.data(),
              tensor.contents.size());
  binding.buffer = buffer.id();
  binding.offset = kFar;
  TSR_RETURN_IF_ERROR(queue.submit(work.record()));
  TSR_RETURN_IF_ERROR(timeline.wait(1, kPatienceNs));
  TSR_RETURN_IF_ERROR(run->download());
  for (const Expected& one : trial.expected) {
    if (one.tensor == binding.tensor) continue;
    TSR_RETURN_IF_ERROR(run->check_values(one).annotate(
        "with a tensor bound behind 4 GiB of a buffer"));
  }
  return context.allocator().check();
}

}  // namespace

void add_large_cases(CaseList& cases) {
  const std::vector<NamedTrial> trials = one_trial_of_each_kind(cases);
  Case one;
  one.id = "L2/far/copy";
  one.limit_seconds = 30.0;
  one.run = copy_far;
  cases.push_back(std::move(one));
  add_trial_cases("L2/far/binding", 30.0, trials, bind_far, cases);
}

}  // namespace tessera::conformance
