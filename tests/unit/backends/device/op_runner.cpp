// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/device/op_runner.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <stdexcept>

#include "framework/format/element.hpp"
#include "framework/host/loading/registry.hpp"
#include "tests/unit/backends/device/device_under_test.hpp"

namespace tessera::device_test {
namespace {

constexpr std::byte kPattern{0x5a};

uint32_t element_bytes(uint32_t dtype) {
  return dtype == TSR_F32 || dtype == TSR_I32 ? 4 : 2;
}

SharedBuffer make_buffer(Device& device, uint64_t bytes) {
  auto buffer = SharedBuffer::create(device, bytes);
  if (!buffer.ok()) throw std::runtime_error(buffer.status().message());
  return std::move(*buffer);
}

uint64_t bytes_of(uint32_t dtype, uint32_t rows, uint32_t stride) {
  return uint64_t{std::max(rows, 1U)} * stride * element_bytes(dtype);
}

struct Opened {
  std::map<Options, std::shared_ptr<Device>> devices;
  std::map<Options, std::string> reasons;
};

// Closes all devices when the tests are over: at the end of the process a
// driver's layers may be gone before them.
class OpenedDevices final : public testing::Environment {
 public:
  Opened opened;
  void TearDown() override { opened.devices.clear(); }
};

Opened* opened() {
  static auto* const environment = static_cast<OpenedDevices*>(
      testing::AddGlobalTestEnvironment(new OpenedDevices));
  return &environment->opened;
}
[[maybe_unused]] const Opened* const opened_before_main = opened();

}  // namespace

Result<std::shared_ptr<Device>> try_open(const Options& options) {
  const DeviceUnderTest tested = device_under_test();
  RegistryOptions registry;
  registry.folders = {std::string(TSR_BINARY_DIR) + "/plugins"};
  registry.host.cache_root =
      std::string(TSR_BINARY_DIR) + "/" + tested.cache_folder;
  Options all = tested.options;
  all.insert(all.end(), options.begin(), options.end());
  return Registry::discover(registry).open(tested.id, all);
}

std::shared_ptr<Device> open_device(const Options& options,
                                    std::string* reason) {
  auto& [devices, reasons] = *opened();
  if (devices.count(options) == 0) {
    const auto device = try_open(options);
    devices[options] = device.ok() ? *device : nullptr;
    if (!device.ok()) reasons[options] = device.status().message();
    if (!device.ok() && device.status().code() != TSR_UNAVAILABLE) {
      ADD_FAILURE() << device.status().message();
    }
  }
  *reason = reasons[options];
  return devices[options];
}

float rounded_to(uint32_t dtype, float value) {
  std::byte bytes[4];
  format::set_element_value(dtype, bytes, 0, value);
  return static_cast<float>(format::element_value(dtype, bytes, 0));
}

TestTensor::TestTensor(Device& device, uint32_t dtype, uint32_t rows,
                       uint32_t cols, uint32_t gap)
    : dtype_(dtype),
      rows_(rows),
      cols_(cols),
      stride_(cols + gap),
      buffer_(make_buffer(device, bytes_of(dtype, rows, stride_))),
      memory_(buffer_.memory()) {
  std::memset(memory_, static_cast<int>(kPattern),
              bytes_of(dtype, rows, stride_));
}

TestTensor::TestTensor(Device& device, uint32_t dtype, uint32_t rows,
                       uint32_t cols, std::mt19937& rng, uint32_t gap)
    : TestTensor(device, dtype, rows, cols, gap) {
  std::normal_distribution<float> normal;
  for (uint32_t r = 0; r < rows; ++r) {
    for (uint32_t c = 0; c < cols; ++c) set(r, c, normal(rng));
  }
}

tsr_tensor TestTensor::desc(uint32_t symbol) const {
  tsr_tensor tensor{};
  tensor.dtype = dtype_;
  tensor.view_of = TSR_NONE;
  tensor.rank = 2;
  tensor.row_stride = stride_;
  tensor.dims[0] = {rows_, symbol};
  tensor.dims[1] = {cols_, TSR_DIM_FIXED};
  return tensor;
}

std::byte* TestTensor::element(uint32_t row, uint32_t col) const {
  return memory_ + (uint64_t{row} * stride_ + col) * element_bytes(dtype_);
}

float TestTensor::at(uint32_t row, uint32_t col) const {
  return static_cast<float>(
      format::element_value(dtype_, element(row, col), 0));
}

int32_t TestTensor::integer(uint32_t row, uint32_t col) const {
  return format::load_element<int32_t>(element(row, col), 0);
}

void TestTensor::set(uint32_t row, uint32_t col, float value) {
  format::set_element_value(dtype_, element(row, col), 0, value);
}

void TestTensor::set_integer(uint32_t row, uint32_t col, int32_t value) {
  format::store_element(element(row, col), 0, value);
}

std::vector<float> TestTensor::values() const {
  std::vector<float> all;
  for (uint32_t r = 0; r < rows_; ++r) {
    for (uint32_t c = 0; c < cols_; ++c) all.push_back(at(r, c));
  }
  return all;
}

bool TestTensor::gaps_untouched() const {
  for (uint32_t r = 0; r < rows_; ++r) {
    const std::byte* end = element(r, stride_);
    for (const std::byte* b = element(r, cols_); b < end; ++b) {
      if (*b != kPattern) return false;
    }
  }
  return true;
}

uint32_t OpRunner::add(const TestTensor& tensor, uint32_t symbol) {
  const uint32_t id = program_.add_tensor(tensor.desc(symbol));
  program_.bind(id, tensor.buffer(), 0);
  return id;
}

uint32_t OpRunner::add_heads(const TestTensor& tensor, uint32_t heads) {
  tsr_tensor desc = tensor.desc(TSR_DIM_TOKENS);
  desc.rank = 3;
  desc.row_stride = 0;
  desc.dims[1] = {heads, TSR_DIM_FIXED};
  desc.dims[2] = {tensor.cols() / heads, TSR_DIM_FIXED};
  const uint32_t id = program_.add_tensor(desc);
  program_.bind(id, tensor.buffer(), 0);
  return id;
}

Status RepeatedStep::run() {
  submission_.signal(0).value = ++value_;
  TSR_RETURN_IF_ERROR(queue_.submit(submission_.record()));
  return timeline_->wait(value_);
}

Result<RepeatedStep> OpRunner::prepare(uint32_t num_tokens, uint32_t num_seqs,
                                       uint32_t max_blocks) {
  program_.set_limits(num_tokens, num_seqs, num_tokens, max_blocks);
  RepeatedStep steps;
  TSR_ASSIGN_OR_RETURN(steps.program_,
                       device_->create_program(program_.build()));
  TSR_ASSIGN_OR_RETURN(steps.queue_, device_->create_queue());
  TSR_ASSIGN_OR_RETURN(const uint64_t id,
                       steps.timeline_->import_into(device_));
  steps.submission_ = submission_;
  steps.submission_.set_program(steps.program_.id());
  steps.submission_.add_signal({id, 0});
  tsr_submission& step = steps.submission_.record();
  step.num_tokens = num_tokens;
  step.num_seqs = num_seqs;
  step.num_outputs = num_tokens;
  return steps;
}

Status OpRunner::run(uint32_t num_tokens, uint32_t num_seqs,
                     uint32_t max_blocks) {
  TSR_ASSIGN_OR_RETURN(RepeatedStep steps,
                       prepare(num_tokens, num_seqs, max_blocks));
  return steps.run();
}

}  // namespace tessera::device_test
