// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/opencl/bench/limits.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <string>
#include <vector>

#include "backends/opencl/runtime/binary_cache.hpp"
#include "backends/opencl/runtime/device_facts.hpp"
#include "backends/opencl/runtime/program_builder.hpp"
#include "tessera/error.hpp"

namespace tessera::opencl {
namespace {

// STREAMS places of a work-item's share are read side by side.
constexpr const char* kReadSource = R"(
kernel void read(global const int16* x, global int* y, int vectors) {
  global const int16* share = x + (size_t)get_global_id(0) * vectors;
  const int step = vectors / STREAMS;
  int16 a = 0;
  int16 b = 0;
  int16 c = 0;
  int16 d = 0;
  for (int i = 0; i < step; i += 4 / STEP) {
    for (int s = 0; s < STREAMS; ++s) {
      global const int16* at = share + s * step + i;
      a ^= at[0];
      b ^= at[1 / STEP];
#if STEP == 1
      c ^= at[2];
      d ^= at[3];
#endif
    }
  }
  a ^= b ^ c ^ d;
  y[get_global_id(0)] = a.s0 ^ a.s5 ^ a.sa ^ a.sf;
})";

// CHAINS vectors of 16.
constexpr const char* kFmaSource = R"(
kernel void chains(global float* y, int n) {
  float16 a[CHAINS];
  for (int c = 0; c < CHAINS; ++c) a[c] = (float16)(get_global_id(0) + c);
  const float16 m = 0.999f;
  const float16 p = 0.1f;
  for (int i = 0; i < n; ++i) {
    __attribute__((opencl_unroll_hint(CHAINS)))
    for (int c = 0; c < CHAINS; ++c) a[c] = fma(a[c], m, p);
  }
  float16 sum = a[0];
  for (int c = 1; c < CHAINS; ++c) sum += a[c];
  y[get_global_id(0)] = sum.s0 + sum.s5 + sum.sa + sum.sf;
})";

constexpr uint64_t kReadBytes = uint64_t{1} << 29;
constexpr cl_int kShareVectors = 4096;  // 256 KiB of a work-item
constexpr cl_int kFmaSteps = 100'000;
constexpr size_t kFmaItems = 64;

// Memory of the host's in pages of 2 MiB, where the system gives them.
class HugePages {
 public:
  HugePages()
      : memory_(mmap(nullptr, kReadBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED) {
      throw sdk::Error(TSR_RESOURCE_EXHAUSTED, "no memory to read");
    }
    madvise(memory_, kReadBytes, MADV_HUGEPAGE);
  }
  ~HugePages() { munmap(memory_, kReadBytes); }
  HugePages(const HugePages&) = delete;
  HugePages& operator=(const HugePages&) = delete;

  void* get() const { return memory_; }

 private:
  void* memory_;
};

}  // namespace

class OpenClLimits::State {
 public:
  State() : facts_(first_device()) {
    cl_int code = CL_SUCCESS;
    context_.reset(
        clCreateContext(nullptr, 1, &facts_.device, nullptr, nullptr, &code));
    check_cl(code, "clCreateContext");
    queue_.reset(clCreateCommandQueue(context_.get(), facts_.device, 0, &code));
    check_cl(code, "clCreateCommandQueue");
    add_memory(CL_MEM_READ_WRITE, nullptr);
    if (facts_.is_cpu) {
      add_memory(CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, huge_pages_.get());
    }
    results_.reset(clCreateBuffer(context_.get(), CL_MEM_READ_WRITE, 1 << 20,
                                  nullptr, &code));
    check_cl(code, "clCreateBuffer");
    for (const int streams : {1, 4, 8}) {
      for (const int step : {1, 2}) {
        add(readers_, "read", kReadSource,
            "-DSTREAMS=" + std::to_string(streams) +
                " -DSTEP=" + std::to_string(step));
      }
    }
    for (const int chains : {8, 10, 12, 16}) {
      chains_.push_back(chains);
      add(adders_, "chains", kFmaSource, "-DCHAINS=" + std::to_string(chains));
    }
    best_reader_ = fastest(readers_.size() * memories_.size(),
                           [this](size_t i) { return time_read(i).wall; });
    best_adder_ = fastest(adders_.size(), [this](size_t i) {
      return time_fma(i).wall / chains_[i];
    });
  }

  uint32_t compute_units() const { return facts_.compute_units; }

  Rate read() {
    return device_test::rate_of(static_cast<double>(kReadBytes) * 1e-9,
                                time_read(best_reader_));
  }

  Rate fma() {
    const double operations =
        2.0 * 16 * chains_[best_adder_] * kFmaSteps * double{kFmaItems};
    return device_test::rate_of(operations * 1e-9, time_fma(best_adder_));
  }

 private:
  static DeviceFacts first_device() {
    const DeviceList list = list_devices();
    if (list.devices.empty()) throw sdk::Error(TSR_UNAVAILABLE, list.reason);
    return list.devices.front();
  }

  void add_memory(cl_mem_flags flags, void* host) {
    cl_int code = CL_SUCCESS;
    memories_.emplace_back(
        clCreateBuffer(context_.get(), flags, kReadBytes, host, &code));
    check_cl(code, "clCreateBuffer");
    const cl_int pattern = 0x01010101;
    check_cl(clEnqueueFillBuffer(queue_.get(), memories_.back().get(), &pattern,
                                 sizeof(pattern), 0, kReadBytes, 0, nullptr,
                                 nullptr),
             "clEnqueueFillBuffer");
    check_cl(clFinish(queue_.get()), "clFinish");
  }

  void add(std::vector<KernelHandle>& kernels, const char* name,
           const char* text, const std::string& options) {
    programs_.push_back(build_program(context_.get(), facts_.device,
                                      {name, text, "-cl-std=CL1.2 " + options},
                                      BinaryCache("")));
    cl_int code = CL_SUCCESS;
    kernels.emplace_back(clCreateKernel(programs_.back().get(), name, &code));
    check_cl(code, name);
  }

  // The kernel that took least, of three runs of each in turn.
  template <typename Time>
  static size_t fastest(size_t count, const Time& time) {
    std::vector<double> times(count, 1e9);
    for (int round = 0; round < 3; ++round) {
      for (size_t i = 0; i < count; ++i) {
        times[i] = std::min(times[i], time(i));
      }
    }
    return static_cast<size_t>(std::min_element(times.begin(), times.end()) -
                               times.begin());
  }

  Rate run(cl_kernel kernel, size_t items) {
    const size_t one = 1;
    const device_test::Stopwatch watch;
    check_cl(clEnqueueNDRangeKernel(queue_.get(), kernel, 1, nullptr, &items,
                                    &one, 0, nullptr, nullptr),
             "a probe");
    check_cl(clFinish(queue_.get()), "a probe");
    return watch.elapsed(facts_.compute_units);
  }

  template <typename Value>
  static void set(cl_kernel kernel, cl_uint index, const Value& value) {
    check_cl(clSetKernelArg(kernel, index, sizeof(value), &value), "a probe");
  }

  // Reader i % n, of n, over memory i / n.
  Rate time_read(size_t i) {
    cl_kernel kernel = readers_[i % readers_.size()].get();
    set(kernel, 0, memories_[i / readers_.size()].get());
    set(kernel, 1, results_.get());
    set(kernel, 2, kShareVectors);
    return run(kernel, kReadBytes / (uint64_t{kShareVectors} * 64));
  }

  Rate time_fma(size_t adder) {
    cl_kernel kernel = adders_[adder].get();
    set(kernel, 0, results_.get());
    set(kernel, 1, kFmaSteps);
    return run(kernel, kFmaItems);
  }

  DeviceFacts facts_;
  ContextHandle context_;
  QueueHandle queue_;
  HugePages huge_pages_;  // outlives the buffer on it
  std::vector<MemoryHandle> memories_;
  MemoryHandle results_;
  std::vector<ProgramHandle> programs_;
  std::vector<KernelHandle> readers_;
  std::vector<int> chains_;
  std::vector<KernelHandle> adders_;
  size_t best_reader_ = 0;
  size_t best_adder_ = 0;
};

OpenClLimits::OpenClLimits() : state_(std::make_unique<State>()) {}
OpenClLimits::~OpenClLimits() = default;
uint32_t OpenClLimits::compute_units() const { return state_->compute_units(); }
Rate OpenClLimits::read() { return state_->read(); }
Rate OpenClLimits::fma() { return state_->fma(); }

}  // namespace tessera::opencl
