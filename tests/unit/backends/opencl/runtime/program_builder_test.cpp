// SPDX-License-Identifier: Apache-2.0
//
// The disk cache keeps only whole binaries of the very key, and the builder
// survives whatever lies there.

#include "backends/opencl/runtime/program_builder.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tessera/error.hpp"

namespace tessera::opencl {
namespace {

using Bytes = std::vector<unsigned char>;

class Folder : public testing::Test {
 protected:
  Folder() {
    std::string name = testing::TempDir() + "/opencl-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~Folder() override { std::filesystem::remove_all(path_); }
  std::string path_;
};

using OpenClBinaryCache = Folder;

TEST_F(OpenClBinaryCache, ReturnsWhatWasStoredUnderTheKeyAlone) {
  const BinaryCache cache(path_);
  cache.store("key", {0, 10, 255});
  EXPECT_EQ(cache.load("key"), (Bytes{0, 10, 255}));
  std::filesystem::copy_file(cache.path("key"), cache.path("other"));
  EXPECT_TRUE(cache.load("other").empty());
  EXPECT_TRUE(BinaryCache("").load("key").empty());
}

TEST_F(OpenClBinaryCache, IgnoresEveryCutAndEveryChangedByte) {
  const BinaryCache cache(path_);
  cache.store("key", {1, 2, 3, 4});
  std::ifstream in(cache.path("key"), std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  for (size_t i = 0; i < whole.size(); ++i) {
    std::ofstream(cache.path("key"), std::ios::binary) << whole.substr(0, i);
    EXPECT_TRUE(cache.load("key").empty()) << "cut at " << i;
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    std::ofstream(cache.path("key"), std::ios::binary) << changed;
    EXPECT_TRUE(cache.load("key").empty()) << "changed at " << i;
  }
}

class OpenClProgramBuilder : public Folder {
 protected:
  void SetUp() override {
    cl_platform_id platform = nullptr;
    if (clGetPlatformIDs(1, &platform, nullptr) != CL_SUCCESS ||
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device_, nullptr) !=
            CL_SUCCESS) {
      GTEST_SKIP() << "no OpenCL device";
    }
    context_ = clCreateContext(nullptr, 1, &device_, nullptr, nullptr, nullptr);
    ASSERT_NE(context_, nullptr);
  }
  void TearDown() override {
    if (context_ != nullptr) clReleaseContext(context_);
  }
  // What the kernel `fill` writes.
  int result(const ProgramHandle& program) const {
    cl_kernel kernel = clCreateKernel(program.get(), "fill", nullptr);
    cl_mem y = clCreateBuffer(context_, CL_MEM_READ_WRITE, sizeof(cl_int),
                              nullptr, nullptr);
    cl_command_queue queue =
        clCreateCommandQueue(context_, device_, 0, nullptr);
    const size_t one = 1;
    cl_int value = 0;
    clSetKernelArg(kernel, 0, sizeof(y), &y);
    clEnqueueNDRangeKernel(queue, kernel, 1, nullptr, &one, nullptr, 0, nullptr,
                           nullptr);
    clEnqueueReadBuffer(queue, y, CL_TRUE, 0, sizeof(value), &value, 0, nullptr,
                        nullptr);
    clReleaseCommandQueue(queue);
    clReleaseMemObject(y);
    clReleaseKernel(kernel);
    return value;
  }

  cl_device_id device_ = nullptr;
  cl_context context_ = nullptr;
};

TEST_F(OpenClProgramBuilder, BuildsFromSourceThenBinaryThenPastADamagedOne) {
  const ProgramSource source{
      "fill", "kernel void fill(global int* y) { *y = N; }", "-DN=7"};
  const BinaryCache cache(path_);
  const std::string key = binary_key(device_, source);
  EXPECT_EQ(result(build_program(context_, device_, source, cache)), 7);
  const Bytes binary = cache.load(key);
  ASSERT_FALSE(binary.empty());

  const std::filesystem::file_time_type old{};
  std::filesystem::last_write_time(cache.path(key), old);
  EXPECT_EQ(result(build_program(context_, device_, source, cache)), 7);
  EXPECT_EQ(std::filesystem::last_write_time(cache.path(key)), old)
      << "compiled again";

  cache.store(key, {1, 2, 3});  // whole, yet nothing the driver can take
  EXPECT_EQ(result(build_program(context_, device_, source, cache)), 7);
  EXPECT_GT(cache.load(key).size(), 3U);
}

TEST_F(OpenClProgramBuilder, NamesTheSourceAndShowsTheLogOfAFailure) {
  const ProgramSource source{"broken", "kernel void f() { no_such_name; }", ""};
  try {
    build_program(context_, device_, source, BinaryCache(path_));
    FAIL() << "compiled";
  } catch (const sdk::Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("broken"), std::string::npos);
    EXPECT_NE(message.find("no_such_name"), std::string::npos) << message;
  }
  EXPECT_TRUE(std::filesystem::is_empty(path_));
}

}  // namespace
}  // namespace tessera::opencl
