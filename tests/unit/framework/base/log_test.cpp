// SPDX-License-Identifier: Apache-2.0
//
// The log goes to stderr, and only from its threshold on.

#include "framework/base/log.hpp"

#include <gtest/gtest.h>

namespace tessera {
namespace {

TEST(Log, DropsLinesBelowTheThreshold) {
  testing::internal::CaptureStderr();
  log(TSR_LOG_INFO, "quiet at first");
  log(TSR_LOG_WARNING, "shown");
  set_log_level(TSR_LOG_ERROR);
  log(TSR_LOG_WARNING, "quiet now");
  log(TSR_LOG_ERROR, "still shown");
  set_log_level(TSR_LOG_WARNING);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "tessera warning: shown\ntessera error: still shown\n");
}

TEST(Log, TakesBracesAsTheyAre) {
  testing::internal::CaptureStderr();
  log(TSR_LOG_ERROR, "{} {0} }{");
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "tessera error: {} {0} }{\n");
}

}  // namespace
}  // namespace tessera
