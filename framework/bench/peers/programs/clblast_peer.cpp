// SPDX-License-Identifier: Apache-2.0
//
// Times CLBlast on the first OpenCL device: f32 products.

#define CL_TARGET_OPENCL_VERSION 120
#include <clblast_c.h>

#include <memory>

#include "framework/bench/peers/programs/peer_program.hpp"

namespace tessera::bench {
namespace {

// The first device of the first platform that has one; released at exit.
struct OpenCl {
  cl_device_id device = nullptr;
  cl_context context = nullptr;
  cl_command_queue queue = nullptr;

  bool open() {
    cl_platform_id platforms[8];
    cl_uint count = 0;
    if (clGetPlatformIDs(8, platforms, &count) != CL_SUCCESS) return false;
    for (cl_uint i = 0; i < count && i < 8 && device == nullptr; ++i) {
      clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, 1, &device, nullptr);
    }
    if (device == nullptr) return false;
    context = clCreateContext(nullptr, 1, &device, nullptr, nullptr, nullptr);
    if (context == nullptr) return false;
    queue = clCreateCommandQueue(context, device, 0, nullptr);
    return queue != nullptr;
  }
};

OpenCl& opencl() {
  static OpenCl instance;
  return instance;
}

class Memory {
 public:
  Memory(const float* values, size_t count)
      : buffer_(clCreateBuffer(
            opencl().context,
            CL_MEM_READ_WRITE | (values != nullptr ? CL_MEM_COPY_HOST_PTR : 0),
            count * sizeof(float), const_cast<float*>(values), nullptr)) {}
  Memory(Memory&& other) noexcept : buffer_(other.buffer_) {
    other.buffer_ = nullptr;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  Memory& operator=(Memory&&) = delete;
  ~Memory() {
    if (buffer_ != nullptr) clReleaseMemObject(buffer_);
  }
  cl_mem get() const { return buffer_; }

 private:
  cl_mem buffer_;
};

class Product {
 public:
  explicit Product(PeerLinear linear)
      : linear_(std::move(linear)),
        x_(linear_.x.data(), linear_.x.size()),
        y_(nullptr, static_cast<size_t>(linear_.M * linear_.N)) {
    for (int64_t i = 0; i < linear_.copies; ++i) {
      weights_.emplace_back(linear_.w.data(), linear_.w.size());
    }
  }

  // False if CLBlast refuses.
  bool run(int64_t turn) {
    const auto M = static_cast<size_t>(linear_.M);
    const auto N = static_cast<size_t>(linear_.N);
    const auto K = static_cast<size_t>(linear_.K);
    const cl_mem w = weights_[static_cast<size_t>(turn % linear_.copies)].get();
    const CLBlastStatusCode code =
        CLBlastSgemm(CLBlastLayoutRowMajor, CLBlastTransposeNo,
                     CLBlastTransposeYes, M, N, K, 1.0f, x_.get(), 0, K, w, 0,
                     K, 0.0f, y_.get(), 0, N, &opencl().queue, nullptr);
    return code == CLBlastSuccess && clFinish(opencl().queue) == CL_SUCCESS;
  }

  bool is_right() {
    std::vector<float> y(static_cast<size_t>(linear_.M * linear_.N));
    return clEnqueueReadBuffer(opencl().queue, y_.get(), CL_TRUE, 0,
                               y.size() * sizeof(float), y.data(), 0, nullptr,
                               nullptr) == CL_SUCCESS &&
           bench::is_right(linear_, y.data(), 1e-5);
  }

 private:
  PeerLinear linear_;
  Memory x_;
  Memory y_;
  std::vector<Memory> weights_;
};

PeerCase make(const nlohmann::json& request) {
  if (request.at("scheme") != "f32") return refused("f32 products alone");
  auto product = std::make_shared<Product>(read_linear(request, sizeof(float)));
  if (!product->run(0)) return refused("Gemm fails");
  if (!product->is_right()) return refused("its result is wrong");
  char name[128] = "";
  clGetDeviceInfo(opencl().device, CL_DEVICE_NAME, sizeof(name) - 1, name,
                  nullptr);
  return {std::string("Gemm on ") + name, "",
          [product](int64_t turn) { product->run(turn); }};
}

}  // namespace
}  // namespace tessera::bench

int main() {
  using tessera::bench::opencl;
  if (opencl().open())
    return tessera::bench::serve("CLBlast", tessera::bench::make);
  return tessera::bench::serve_missing();
}
