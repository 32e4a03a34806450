// SPDX-License-Identifier: Apache-2.0
//
// A driver that crashes or hangs takes a child with it and not the process.

#include "backends/opencl/runtime/probe.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <stdexcept>

namespace tessera::opencl {
namespace {

TEST(OpenClProbe, SaysNothingOfWhatEnds) {
  EXPECT_EQ(probe_in_child([] {}, 20), "");
}

TEST(OpenClProbe, NamesTheSignalOfACrash) {
  EXPECT_EQ(probe_in_child([] { raise(SIGKILL); }, 20),
            "crash with signal " + std::to_string(SIGKILL));
}

TEST(OpenClProbe, EndsWhatHangs) {
  EXPECT_EQ(probe_in_child([] { pause(); }, 1), "hang");
}

TEST(OpenClProbe, SurvivesWhatIsThrown) {
  EXPECT_EQ(probe_in_child([] { throw std::runtime_error("no"); }, 20), "fail");
}

}  // namespace
}  // namespace tessera::opencl
