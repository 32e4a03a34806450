// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/weight_loader.hpp"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/unit/framework/host/toy_linear.hpp"

namespace tessera {
namespace {

tsr_plane plane(uint32_t rows, uint32_t block_n, uint64_t row_bytes) {
  return ToyWeightData::plane(TSR_PLANE_CODES, TSR_U8, rows, 1, block_n, 1,
                              row_bytes, nullptr);
}

uint32_t slice_rows(uint32_t N, std::vector<tsr_plane> planes,
                    uint32_t n_multiple, uint32_t num_threads,
                    uint32_t format = TSR_WEIGHT_I8) {
  const tsr_weight_desc desc = {
      sizeof(desc),
      format,
      N,
      64,
      {planes.data(), static_cast<uint32_t>(planes.size()), sizeof(tsr_plane)},
      nullptr};
  return choose_slice_rows(desc, n_multiple, num_threads);
}

TEST(SliceRows, AreMultiplesOfWhatThePluginAsksFor) {
  EXPECT_EQ(slice_rows(1000, {plane(1000, 1, 64)}, 16, 4) % 16, 0u);
  EXPECT_EQ(slice_rows(1000, {plane(1000, 1, 64)}, 0, 1), 1000u);
}

TEST(SliceRows, CutThroughNoBlock) {
  const uint32_t rows =
      slice_rows(4096, {plane(4096, 1, 64), plane(32, 128, 4)}, 48, 8);
  EXPECT_EQ(rows % 128, 0u);
  EXPECT_EQ(rows % 48, 0u);
}

TEST(SliceRows, AreAllRowsIfNothingSmallerWillDo) {
  EXPECT_EQ(slice_rows(100, {plane(100, 1, 64)}, UINT32_MAX, 4), 100u);
  EXPECT_EQ(slice_rows(100, {plane(100, 1, 64)}, 7 * 9, 4), 63u);
  EXPECT_EQ(slice_rows(100, {plane(100, 1, 64)}, 1, 4, TSR_WEIGHT_SPARSE_FIXED),
            100u);
}

TEST(SliceRows, HoldAFewMegabytes) {
  const uint32_t rows = slice_rows(1 << 20, {plane(1 << 20, 1, 16384)}, 1, 1);
  EXPECT_EQ(uint64_t{rows} * 16384, uint64_t{4} << 20);
}

TEST(CutPlanes, LeavesPlanesWholeThatServeAllRows) {
  const ToyWeightData data(12, 8);
  const std::vector<tsr_plane> slice = cut_planes(data.planes, 12, 4, 9);
  EXPECT_EQ(slice[0].data, data.codes.data() + 4 * 8);
  EXPECT_EQ(slice[0].rows, 5u);
  EXPECT_EQ(slice[1].data, data.scales.data() + 4);
  EXPECT_EQ(slice[2].data, data.multipliers.data());
  EXPECT_EQ(slice[2].rows, 1u);
  const std::vector<tsr_plane> tensor = cut_planes(
      {ToyWeightData::plane(TSR_PLANE_SCALE, TSR_F32, 1, 1, 12, 8, 4, nullptr)},
      12, 4, 9);
  EXPECT_EQ(tensor[0].block_n, 5u);
  EXPECT_EQ(tensor[0].rows, 1u);
}

class WeightOn : public testing::TestWithParam<uint32_t> {
 protected:
  WeightOn() {
    HostOptions options = test_options();
    options.num_threads = 3;
    Result<std::shared_ptr<Plugin>> plugin =
        Plugin::load(toy_manifest(), options);
    EXPECT_TRUE(plugin.ok()) << plugin.status().message();
    Result<std::shared_ptr<Device>> device = Device::open(*plugin, GetParam());
    EXPECT_TRUE(device.ok()) << device.status().message();
    device_ = *device;
  }
  bool packs() const { return GetParam() == 0; }

  std::shared_ptr<Device> device_;
};

TEST_P(WeightOn, ComputesWhatItsPlanesSay) {
  for (const uint32_t N : {1u, 3u, 4u, 37u}) {
    const ToyWeightData data(N, 24);
    const Result<Weight> weight = device_->load_weight(data.desc());
    ASSERT_TRUE(weight.ok()) << weight.status().message();
    EXPECT_EQ(weight->in_place(), !packs());
    EXPECT_EQ(weight->layout(), packs() ? 7u : 0u);
    EXPECT_GE(weight->packed_bytes(), N * 24u);
    const auto y = run_linear(device_, *weight, N, 24);
    ASSERT_TRUE(y.ok()) << y.status().message();
    EXPECT_EQ(*y, data.row_sums());
  }
}

// The rows are made from a copy that dies with the call, as when a file is
// quantized on the way.
TEST_P(WeightOn, TakesRowsThatAreMadeOnTheWay) {
  const ToyWeightData data(37, 24);
  ToyWeightData shapes = data;
  shapes.planes[0].data = nullptr;
  shapes.planes[1].data = nullptr;
  std::atomic<uint32_t> rows{0};
  const SliceProducer produce = [&](uint32_t n_begin, uint32_t n_end,
                                    const SliceConsumer& consume) {
    rows += n_end - n_begin;
    const ToyWeightData copy = data;
    tsr_weight_desc slice = copy.desc();
    const std::vector<tsr_plane> planes =
        cut_planes(copy.planes, copy.N, n_begin, n_end);
    slice.N = n_end - n_begin;
    slice.planes.data = planes.data();
    return consume(slice);
  };
  const Result<Weight> weight = device_->load_weight(shapes.desc(), produce);
  ASSERT_TRUE(weight.ok()) << weight.status().message();
  EXPECT_EQ(rows.load(), 37u);
  const auto y = run_linear(device_, *weight, 37, 24);
  ASSERT_TRUE(y.ok()) << y.status().message();
  EXPECT_EQ(*y, data.row_sums());
}

TEST_P(WeightOn, AFailedSliceLeavesNothing) {
  const ToyWeightData data(37, 24);
  ToyWeightData shapes = data;
  shapes.planes[0].data = nullptr;
  shapes.planes[1].data = nullptr;
  const Result<Weight> weight = device_->load_weight(
      shapes.desc(), [](uint32_t, uint32_t, const SliceConsumer&) {
        return Status(TSR_DATA_LOSS, "the file ends here");
      });
  ASSERT_FALSE(weight.ok());
  EXPECT_EQ(weight.status().message(), "the file ends here");
}

TEST_P(WeightOn, RefusesPlanesWithoutData) {
  ToyWeightData data(8, 8);
  data.planes[0].data = nullptr;
  EXPECT_EQ(device_->load_weight(data.desc()).status().code(),
            TSR_INVALID_ARGUMENT);
}

TEST_P(WeightOn, SaysWhyADeviceWillNotTakeIt) {
  const ToyWeightData data(8, 8);
  tsr_weight_desc desc = data.desc();
  desc.format = TSR_WEIGHT_U4;
  const Status status = device_->load_weight(desc).status();
  EXPECT_EQ(status.code(), TSR_UNIMPLEMENTED);
  EXPECT_EQ(status.message(),
            device_->name() + ": weight_query: only i8 weights");
}

INSTANTIATE_TEST_SUITE_P(PackedAndInPlace, WeightOn, testing::Values(0, 1));

}  // namespace
}  // namespace tessera
