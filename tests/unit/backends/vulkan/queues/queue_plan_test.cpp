// SPDX-License-Identifier: Apache-2.0
//
// The queues that are taken of families as drivers report them.  No device is
// asked.

#include "backends/vulkan/runtime/queue_plan.hpp"

#include <gmock/gmock.h>

#include <ostream>

#include "tests/unit/backends/vulkan/faults/pretended_queues.hpp"

namespace tessera::vulkan {

void PrintTo(const QueueId& id, std::ostream* out) {
  *out << "queue " << id.index << " of family " << id.family;
}

namespace {

using testing::ElementsAre;
using vulkan_faults::families_of;

constexpr VkQueueFlags kGraphics = VK_QUEUE_GRAPHICS_BIT;
constexpr VkQueueFlags kCompute = VK_QUEUE_COMPUTE_BIT;
constexpr VkQueueFlags kTransfer = VK_QUEUE_TRANSFER_BIT;
constexpr VkQueueFlags kVideoDecode = 0x20;
constexpr VkQueueFlags kOpticalFlow = 0x100;

VkQueueFamilyProperties family(VkQueueFlags flags, uint32_t count,
                               uint32_t tick_bits = 64) {
  return {flags, count, tick_bits, {1, 1, 1}};
}

TEST(QueuePlan, NvidiaComputesBesideGraphicsAndCopiesByAnEngine) {
  const QueuePlan plan = choose_queues(families_of("nvidia"));
  EXPECT_THAT(plan.lanes,
              ElementsAre(QueueId{2, 0}, QueueId{2, 1}, QueueId{1, 0}));
  EXPECT_EQ(plan.num_compute, 2U);
  EXPECT_EQ(plan.copy_lane(), 2U);
  EXPECT_THAT(plan.families(), ElementsAre(2U, 1U));
}

// RADV shows no family of its DMA engine: copies have a compute queue.
TEST(QueuePlan, RadvCopiesOnAQueueOfItsOwnThatComputes) {
  const QueuePlan plan = choose_queues(families_of("radv"));
  EXPECT_THAT(plan.lanes,
              ElementsAre(QueueId{1, 0}, QueueId{1, 1}, QueueId{1, 2}));
  EXPECT_EQ(plan.num_compute, 2U);
  EXPECT_THAT(plan.families(), ElementsAre(1U));
}

TEST(QueuePlan, AnArcHasOneQueueOfEach) {
  const QueuePlan plan = choose_queues(families_of("intel"));
  EXPECT_THAT(plan.lanes, ElementsAre(QueueId{1, 0}, QueueId{2, 0}));
  EXPECT_EQ(plan.num_compute, 1U);
}

// lavapipe, and older chips of Intel.
TEST(QueuePlan, OneQueueDoesEverything) {
  const QueuePlan plan =
      choose_queues({family(kGraphics | kCompute | kTransfer, 1)});
  EXPECT_THAT(plan.lanes, ElementsAre(QueueId{0, 0}));
  EXPECT_EQ(plan.num_compute, 1U);
  EXPECT_EQ(plan.copy_lane(), 0U);
}

// A Mali has one family with two queues: the second carries copies too.
TEST(QueuePlan, OfTwoQueuesTheSecondTakesStepsAndCopies) {
  const QueuePlan plan =
      choose_queues({family(kGraphics | kCompute | kTransfer, 2)});
  EXPECT_THAT(plan.lanes, ElementsAre(QueueId{0, 0}, QueueId{0, 1}));
  EXPECT_EQ(plan.num_compute, 2U);
  EXPECT_EQ(plan.copy_lane(), 1U);
}

// MoltenVK has four families that are alike: the first.
TEST(QueuePlan, OfFamiliesThatAreAlikeItIsTheFirst) {
  const auto alike = family(kGraphics | kCompute | kTransfer, 1);
  const QueuePlan plan = choose_queues({alike, alike, alike, alike});
  EXPECT_THAT(plan.lanes, ElementsAre(QueueId{0, 0}));
}

TEST(QueuePlan, EnginesForVideoAndOpticalFlowCarryNoCopies) {
  const QueuePlan plan =
      choose_queues({family(kGraphics | kCompute | kTransfer, 1),
                     family(kTransfer | kVideoDecode, 1),
                     family(kTransfer | kOpticalFlow, 1)});
  EXPECT_THAT(plan.lanes, ElementsAre(QueueId{0, 0}));
}

TEST(QueuePlan, StepsGoWhereTheyCanBeTimed) {
  const QueuePlan plan = choose_queues(
      {family(kGraphics | kCompute | kTransfer, 1), family(kCompute, 4, 0)});
  EXPECT_THAT(plan.lanes, ElementsAre(QueueId{0, 0}));
}

TEST(QueuePlan, FamiliesWithoutQueuesDoNotCount) {
  const QueuePlan plan = choose_queues(
      {family(kCompute, 0), family(kTransfer, 0), family(kCompute, 1, 0)});
  EXPECT_THAT(plan.lanes, ElementsAre(QueueId{2, 0}));
}

TEST(QueuePlan, WhereNothingComputesThereIsNoLane) {
  EXPECT_TRUE(choose_queues({}).lanes.empty());
  EXPECT_TRUE(choose_queues({family(kGraphics | kTransfer, 1)}).lanes.empty());
}

TEST(QueuePlan, LanesAreEmulatedOnTheFirstQueue) {
  const QueuePlan whole = choose_queues(families_of("nvidia"));
  const QueuePlan plan = emulated_lanes(whole);
  EXPECT_THAT(plan.lanes,
              ElementsAre(QueueId{2, 0}, QueueId{2, 0}, QueueId{2, 0}));
  EXPECT_EQ(plan.num_compute, 2U);
  EXPECT_THAT(one_lane(whole).lanes, ElementsAre(QueueId{2, 0}));
  EXPECT_LE(whole.lanes.size(), kMostLanes);
  EXPECT_LE(plan.lanes.size(), kMostLanes);
}

}  // namespace
}  // namespace tessera::vulkan
