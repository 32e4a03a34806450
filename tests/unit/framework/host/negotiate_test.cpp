// SPDX-License-Identifier: Apache-2.0

#include "framework/host/loading/negotiate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>

#include "framework/host/device/plugin_error.hpp"
#include "tests/unit/framework/host/fake_plugin.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;

class Negotiation : public testing::Test {
 protected:
  Negotiation() : api_(minimal_api()), header_(fake_header()) {
    fake_state() = {};
    fake_state().api = &api_;
  }

  Result<NegotiatedApi> run(AbiRange host = kHostAbi) {
    return negotiate(&header_, nullptr, host);
  }
  void expect_error(tsr_status code, const std::string& part) {
    const Result<NegotiatedApi> result = run();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), code);
    EXPECT_THAT(result.status().message(), HasSubstr(part));
  }

  tsr_api api_;
  tsr_plugin_header header_;
};

TEST_F(Negotiation, TakesASoundPlugin) {
  const Result<NegotiatedApi> result = run();
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->abi_version, 0x10000u);
  EXPECT_EQ(result->identity.name, "fake");
  EXPECT_EQ(result->identity.version, "1.2.3");
  EXPECT_EQ(result->identity.build_id, "today");
  EXPECT_EQ(result->api.device_count, api_.device_count);
}

TEST_F(Negotiation, ChoosesTheHighestVersionOfBoth) {
  header_.abi_min = 0x10000;
  header_.abi_max = 0x10003;
  EXPECT_EQ(run({0x10000, 0x10001})->abi_version, 0x10001u);
  EXPECT_EQ(run({0x10002, 0x20000})->abi_version, 0x10003u);
  EXPECT_EQ(fake_state().asked_version, 0x10003u);
}

TEST_F(Negotiation, ANewerHostTakesAnOlderPlugin) {
  EXPECT_EQ(run({0x10000, 0x10001})->abi_version, 0x10000u);
}

TEST_F(Negotiation, RefusesAnotherAbiBeforeItAsksForTheTable) {
  header_.abi_min = 0x20000;
  header_.abi_max = 0x20001;
  expect_error(TSR_FAILED_PRECONDITION,
               "built for ABI 2.0 to 2.1; this host speaks 1.0 to 1.0");
  EXPECT_EQ(fake_state().calls, 0u);
}

TEST_F(Negotiation, RefusesARangeThatEndsBeforeItBegins) {
  header_.abi_min = 0x10001;
  expect_error(TSR_INVALID_ARGUMENT, "abi_min 1.1 is above abi_max 1.0");
}

TEST_F(Negotiation, RefusesAnotherSanitizer) {
  header_.sanitizer = host_sanitizer() == TSR_SANITIZER_ADDRESS
                          ? TSR_SANITIZER_NONE
                          : TSR_SANITIZER_ADDRESS;
  expect_error(TSR_FAILED_PRECONDITION, "built with");
}

TEST_F(Negotiation, RefusesAMissingHeader) {
  EXPECT_EQ(negotiate(nullptr, nullptr).status().message(),
            "header: there is none");
}

TEST_F(Negotiation, RefusesAHeaderOfAnotherSize) {
  for (const uint32_t size : {0u, 8u, 63u, 1u << 20, UINT32_MAX}) {
    header_.struct_size = size;
    expect_error(TSR_INVALID_ARGUMENT,
                 "header: struct_size " + std::to_string(size));
  }
}

TEST_F(Negotiation, TakesALongerHeader) {
  struct Longer {
    tsr_plugin_header head;
    uint64_t tail[4];
  } longer{header_, {1, 2, 3, 4}};
  longer.head.struct_size = sizeof(longer);
  EXPECT_TRUE(negotiate(&longer.head, nullptr).ok());
}

TEST_F(Negotiation, RefusesAHeaderWithoutTexts) {
  header_.name = nullptr;
  expect_error(TSR_INVALID_ARGUMENT, "header: no name");
  header_.name = "";
  expect_error(TSR_INVALID_ARGUMENT, "header: name is not a text");
  header_.name = "a\nb";
  expect_error(TSR_INVALID_ARGUMENT, "header: name is not a text");
  const std::string endless(100000, 'x');
  header_.name = endless.c_str();
  expect_error(TSR_INVALID_ARGUMENT, "header: name is not a text");
  header_.name = "fake";
  header_.get_api = nullptr;
  expect_error(TSR_INVALID_ARGUMENT, "header: no get_api");
}

TEST_F(Negotiation, PassesOnWhatGetApiSays) {
  fake_state().answer = TSR_UNAVAILABLE;
  expect_error(TSR_UNAVAILABLE, "get_api 1.0: no");
}

TEST_F(Negotiation, RefusesAMissingTable) {
  fake_state().api = nullptr;
  expect_error(TSR_INVALID_ARGUMENT, "table: get_api stored none");
}

TEST_F(Negotiation, RefusesATableThatLiesAboutItsSize) {
  const auto short_size =
      static_cast<uint32_t>(offsetof(tsr_api, queue_destroy));
  for (const uint32_t size : {0u, 4u, short_size, uint32_t{sizeof(tsr_api)} + 4,
                              64u * 1024 + 8, UINT32_MAX}) {
    api_.struct_size = size;
    expect_error(TSR_INVALID_ARGUMENT,
                 "table: struct_size " + std::to_string(size));
  }
}

TEST_F(Negotiation, NamesAMissingFunction) {
  api_.queue_submit = nullptr;
  expect_error(TSR_INVALID_ARGUMENT, "table: no function queue_submit");
}

TEST_F(Negotiation, FillsOptionalFunctionsWithStubsThatSayTheirName) {
  const Result<NegotiatedApi> result = run();
  ASSERT_TRUE(result.ok());
  ErrorSlot error;
  EXPECT_EQ(result->api.buffer_export(nullptr, 1, 0, &error, nullptr),
            TSR_UNIMPLEMENTED);
  EXPECT_STREQ(error.message, "the plugin does not implement buffer_export");
  EXPECT_EQ(error.retry, uint32_t{TSR_RETRY_NEVER});
  EXPECT_EQ(result->api.kv_query(nullptr, nullptr, nullptr, nullptr),
            TSR_UNIMPLEMENTED);
  result->api.kv_destroy(nullptr, 1);
}

// A table of 1.0 that a plugin cut short after its last required function.
TEST_F(Negotiation, ReadsNothingPastStructSize) {
  api_.profile_read = [](tsr_device*, tsr_error*, tsr_kernel_record*, uint32_t,
                         uint32_t, uint32_t*) { return tsr_status{TSR_OK}; };
  api_.struct_size =
      static_cast<uint32_t>(offsetof(tsr_api, queue_destroy) + sizeof(void*));
  const Result<NegotiatedApi> result = run();
  ASSERT_TRUE(result.ok()) << result.status().message();
  uint32_t count = 0;
  EXPECT_EQ(result->api.profile_read(nullptr, nullptr, nullptr, 0, 0, &count),
            TSR_UNIMPLEMENTED);
}

// What a plugin of the next minor appends means nothing to this host.
TEST_F(Negotiation, IgnoresFunctionsItDoesNotKnow) {
  struct Longer {
    tsr_api head;
    void (*next_minor[3])();
  } longer{api_, {}};
  longer.head.struct_size = sizeof(longer);
  fake_state().api = &longer.head;
  const Result<NegotiatedApi> result = run();
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->api.struct_size, sizeof(tsr_api));
}

}  // namespace
}  // namespace tessera
