// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/opencl/bench/clblast_gemm.hpp"

#include <clblast.h>

#include <string>
#include <vector>

#include "backends/opencl/runtime/cl_handles.hpp"
#include "backends/opencl/runtime/device_facts.hpp"
#include "tessera/error.hpp"

namespace tessera::device_test {

using opencl::check_cl;

class ClBlastGemm::State {
 public:
  State(size_t M, size_t N, size_t K) : M_(M), N_(N), K_(K) {
    const opencl::DeviceList list = opencl::list_devices();
    if (list.devices.empty()) throw sdk::Error(TSR_UNAVAILABLE, list.reason);
    const cl_device_id device = list.devices.front().device;
    cl_int code = CL_SUCCESS;
    context_.reset(
        clCreateContext(nullptr, 1, &device, nullptr, nullptr, &code));
    check_cl(code, "clCreateContext");
    queue_.reset(clCreateCommandQueue(context_.get(), device, 0, &code));
    check_cl(code, "clCreateCommandQueue");
    a_ = matrix(M * K);
    b_ = matrix(N * K);
    c_ = matrix(M * N);
  }

  void run() {
    cl_command_queue queue = queue_.get();
    const clblast::StatusCode status = clblast::Gemm<float>(
        clblast::Layout::kRowMajor, clblast::Transpose::kNo,
        clblast::Transpose::kYes, M_, N_, K_, 1.0f, a_.get(), 0, K_, b_.get(),
        0, K_, 0.0f, c_.get(), 0, N_, &queue);
    if (status != clblast::StatusCode::kSuccess) {
      throw sdk::Error(
          TSR_INTERNAL,
          "CLBlast: code " + std::to_string(static_cast<int>(status)));
    }
    check_cl(clFinish(queue), "clFinish");
  }

 private:
  opencl::MemoryHandle matrix(size_t size) const {
    std::vector<float> values(size);
    for (size_t i = 0; i < size; ++i) {
      values[i] = static_cast<float>(i % 13) - 6.0f;
    }
    cl_int code = CL_SUCCESS;
    opencl::MemoryHandle memory(
        clCreateBuffer(context_.get(), CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                       size * sizeof(float), values.data(), &code));
    check_cl(code, "clCreateBuffer");
    return memory;
  }

  size_t M_;  // NOLINT(*-naming): as in the formula
  size_t N_;  // NOLINT(*-naming)
  size_t K_;  // NOLINT(*-naming)
  opencl::ContextHandle context_;
  opencl::QueueHandle queue_;
  opencl::MemoryHandle a_;
  opencl::MemoryHandle b_;
  opencl::MemoryHandle c_;
};

bool ClBlastGemm::is_installed() { return true; }
ClBlastGemm::ClBlastGemm(uint32_t M, uint32_t N, uint32_t K)
    : state_(std::make_unique<State>(M, N, K)) {}
ClBlastGemm::~ClBlastGemm() = default;
void ClBlastGemm::run() { state_->run(); }

}  // namespace tessera::device_test
