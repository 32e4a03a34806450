// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/measure/placements.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "framework/bench/measure/measure.hpp"
#include "tests/unit/framework/host/toy_linear.hpp"

namespace tessera::bench {
namespace {

constexpr uint32_t N = 4;
constexpr uint32_t K = 8;
constexpr uint64_t kOffset = 64;  // of y behind x

// A linear on the toy plugin, made again and again.
class PlacementsTest : public testing::Test {
 protected:
  PlacementsTest() {
    std::shared_ptr<Plugin> plugin =
        *Plugin::load(toy_manifest(), test_options());
    device_ = *Device::open(std::move(plugin), 0);
    submitter_ = std::move(*Submitter::create(device_));
  }

  Result<std::unique_ptr<TimedOp>> make() {
    if (made_ == last_) return Status(refusal_, "no more than that");
    ++made_;
    auto op = std::make_unique<TimedOp>(*submitter_);
    op->rotated_bytes = rotated_bytes_;
    TSR_ASSIGN_OR_RETURN(Weight weight, device_->load_weight(data_.desc()));
    TSR_ASSIGN_OR_RETURN(
        Buffer buffer, submitter_->visible_buffer(kOffset + N * sizeof(float)));
    TSR_ASSIGN_OR_RETURN(void* memory, buffer.map());
    std::fill_n(static_cast<float*>(memory), K, 1.0F);
    const auto* y = reinterpret_cast<const float*>(
        static_cast<const std::byte*>(memory) + kOffset);
    const size_t number = made_;
    op->check = [this, y, number]() -> Status {
      ++checked_[number];
      if (number == wrong_) return {TSR_DATA_LOSS, "y[0, 0] is wrong"};
      if (std::vector<float>(y, y + N) == data_.row_sums()) return {};
      return {TSR_DATA_LOSS, "never ran"};
    };
    op->weights.push_back(std::move(weight));
    op->buffers.push_back(std::move(buffer));
    TSR_RETURN_IF_ERROR(add_submission(
        linear_program(N, K, op->weights.front().id(), op->buffers.front().id(),
                       kOffset),
        {sizeof(tsr_step_shape), 1, 1, 1, 1, TSR_DECODE}, 1, *op));
    return op;
  }

  Placements placements() {
    return std::move(*Placements::create([this] { return make(); }));
  }

  // Of so many samples, by their first appearance.
  static std::vector<size_t> order_of(Placements& placements, size_t samples) {
    std::map<const TimedOp*, size_t> known;
    std::vector<size_t> order;
    for (size_t i = 0; i < samples; ++i) {
      const TimedOp* op = *placements.next();
      order.push_back(known.emplace(op, known.size()).first->second);
    }
    return order;
  }

  ToyWeightData data_{N, K};
  std::shared_ptr<Device> device_;
  std::unique_ptr<Submitter> submitter_;
  uint64_t rotated_bytes_ = 0;
  size_t made_ = 0;
  size_t last_ = SIZE_MAX;  // that can be made
  tsr_status refusal_ = TSR_OK;
  size_t wrong_ = 0;
  std::map<size_t, int> checked_;
};

TEST_F(PlacementsTest, AreOthersForEverySample) {
  Placements many = placements();
  EXPECT_EQ(order_of(many, 5), (std::vector<size_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(many.size(), 5U);
}

TEST_F(PlacementsTest, ComeInTurnsWhereMemoryEnds) {
  rotated_bytes_ = Placements::kMostBytes / 3 - 1000;
  Placements many = placements();
  EXPECT_EQ(order_of(many, 7), (std::vector<size_t>{0, 1, 2, 0, 1, 2, 0}));
  EXPECT_EQ(made_, 3U);
}

TEST_F(PlacementsTest, AreOneForWhatIsTooLarge) {
  rotated_bytes_ = Placements::kMostBytes / 2 + 1;
  Placements one = placements();
  EXPECT_EQ(order_of(one, 3), (std::vector<size_t>{0, 0, 0}));
  EXPECT_EQ(made_, 1U);
}

TEST_F(PlacementsTest, AreAllMeasuredAndChecked) {
  Placements many = placements();
  Placements* const ops[] = {&many};
  const std::vector<Measurement> found = measure(ops, {4, 1e3, 1e9, {}, {}});
  ASSERT_TRUE(found[0].status.ok()) << found[0].status.message();
  EXPECT_EQ(found[0].placements, 4U);
  EXPECT_EQ(found[0].wall_ns.size(), 4U);
  // The first before anything is timed as well.
  EXPECT_EQ(checked_, (std::map<size_t, int>{{1, 2}, {2, 1}, {3, 1}, {4, 1}}));
}

TEST_F(PlacementsTest, ThatAreWrongOnceMakeTheMeasurementWrong) {
  wrong_ = 3;
  Placements many = placements();
  Placements* const ops[] = {&many};
  const std::vector<Measurement> found = measure(ops, {4, 1e3, 1e9, {}, {}});
  EXPECT_EQ(found[0].status.code(), TSR_DATA_LOSS);
}

TEST_F(PlacementsTest, ComeInTurnsWhereTheDeviceIsFull) {
  last_ = 2;
  refusal_ = TSR_RESOURCE_EXHAUSTED;
  Placements many = placements();
  EXPECT_EQ(order_of(many, 5), (std::vector<size_t>{0, 1, 0, 1, 0}));
}

TEST_F(PlacementsTest, ThatFailMakeTheMeasurementFail) {
  last_ = 2;
  refusal_ = TSR_DEVICE_LOST;
  Placements many = placements();
  Placements* const ops[] = {&many};
  const std::vector<Measurement> found = measure(ops, {4, 1e3, 1e9, {}, {}});
  EXPECT_EQ(found[0].status.code(), TSR_DEVICE_LOST);
}

}  // namespace
}  // namespace tessera::bench
