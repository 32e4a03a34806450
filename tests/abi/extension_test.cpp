// SPDX-License-Identifier: Apache-2.0
//
// Extensions: what is unknown is skipped, or refused if it must be understood,
// wherever one may hang; payloads need no pointer.

#include <gtest/gtest.h>

#include <string>

#include "tessera/draft_ops.h"
#include "tessera/record.hpp"
#include "tests/abi/probe_session.hpp"

namespace tessera::abi_test {
namespace {

constexpr char kKnown[] = "dev.tessera.probe";
constexpr char kUnknown[] = "com.vendor.feature";

class ExtensionTest : public testing::Test {
 protected:
  ProbeSession session_{PROBE_PLUGIN};
  const tsr_api& api() { return session_.api(); }
  tsr_device* device() { return session_.device; }

  static tsr_ext node(const char* name, uint32_t flags,
                      const tsr_ext* next = nullptr) {
    return {sizeof(tsr_ext), flags, name, next};
  }
  tsr_status query_weight(const tsr_ext* next) {
    F32Weight weight(2, 2, nullptr);
    weight.desc.next = next;
    tsr_packed_info info{};
    info.struct_size = sizeof(info);
    return api().weight_query(device(), &weight.desc, &session_.error, &info);
  }
  tsr_status create_program(std::vector<uint64_t> extension) {
    ProgramBuilder builder;
    builder.desc.id = kProgram;
    builder.extension = std::move(extension);
    const auto record = builder.build();
    tsr_program_info info{};
    info.struct_size = sizeof(info);
    const tsr_status status = api().program_create(device(), as_program(record),
                                                   &session_.error, &info);
    api().program_destroy(device(), kProgram);
    return status;
  }
  tsr_status submit(std::vector<uint64_t> extension) {
    SubmissionBuilder copy;
    copy.value.kind = TSR_SUBMIT_COPY;
    copy.value.src = copy.value.dst = kBuffer;
    copy.extension = std::move(extension);
    return session_.submit(copy, 1);
  }
};

TEST_F(ExtensionTest, ADescriptorsUnknownNodeIsSkipped) {
  const tsr_ext unknown = node(kUnknown, 0);
  EXPECT_EQ(query_weight(&unknown), TSR_OK);
}

TEST_F(ExtensionTest, ADescriptorsNodeThatMustBeUnderstoodIsRefused) {
  const tsr_ext unknown = node(kUnknown, TSR_MUST_UNDERSTAND);
  const tsr_ext known = node(kKnown, TSR_MUST_UNDERSTAND, &unknown);
  EXPECT_EQ(query_weight(&known), TSR_UNIMPLEMENTED);
  EXPECT_STREQ(session_.error.message,
               "extension com.vendor.feature is unknown");
}

TEST_F(ExtensionTest, ADescriptorsKnownNodeIsTaken) {
  const tsr_ext unknown = node(kUnknown, 0);
  const tsr_ext known = node(kKnown, TSR_MUST_UNDERSTAND, &unknown);
  EXPECT_EQ(query_weight(&known), TSR_OK);
}

TEST_F(ExtensionTest, AQuestionToAnUnknownExtensionIsRefused) {
  char reply[8] = "......";
  tsr_ask ask{};
  ask.struct_size = sizeof(ask);
  ask.extension = kUnknown;
  ask.request = "?";
  ask.request_bytes = 1;
  ask.reply = reply;
  ask.capacity = sizeof(reply);
  EXPECT_EQ(api().device_ask(device(), &ask, &session_.error),
            TSR_UNIMPLEMENTED);
  EXPECT_STREQ(session_.error.message,
               "extension com.vendor.feature is unknown");
  EXPECT_STREQ(reply, "......");
}

TEST_F(ExtensionTest, BuffersAndPoolsRefuseAsWeightsDo) {
  const tsr_ext unknown = node(kUnknown, TSR_MUST_UNDERSTAND);
  tsr_buffer_desc buffer{};
  buffer.struct_size = sizeof(buffer);
  buffer.id = 99;
  buffer.bytes = 8;
  buffer.next = &unknown;
  EXPECT_EQ(api().buffer_create(device(), &buffer, &session_.error),
            TSR_UNIMPLEMENTED);
  tsr_kv_desc pool{};
  pool.struct_size = sizeof(pool);
  pool.format = TSR_KV_F32;
  pool.next = &unknown;
  tsr_kv_info info{};
  info.struct_size = sizeof(info);
  EXPECT_EQ(api().kv_query(device(), &pool, &session_.error, &info),
            TSR_UNIMPLEMENTED);
}

TEST_F(ExtensionTest, ProgramsRefuseWhatTheyMustUnderstand) {
  EXPECT_EQ(create_program(make_extension(kUnknown, 0)), TSR_OK);
  EXPECT_EQ(create_program(make_extension(kKnown, TSR_MUST_UNDERSTAND)),
            TSR_OK);
  EXPECT_EQ(create_program(make_extension(kUnknown, TSR_MUST_UNDERSTAND)),
            TSR_UNIMPLEMENTED);
}

TEST_F(ExtensionTest, CheckRefusesTheProgramItself) {
  ProgramBuilder builder;
  builder.extension = make_extension(kUnknown, TSR_MUST_UNDERSTAND);
  const auto record = builder.build();
  tsr_refusal refusal{};
  uint32_t count = 0;
  EXPECT_EQ(api().check(device(), as_program(record), nullptr, nullptr,
                        &session_.error, &refusal, 1, sizeof(refusal), &count),
            TSR_UNIMPLEMENTED);
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(refusal.op, TSR_NONE);
  EXPECT_EQ(refusal.reason, static_cast<uint32_t>(TSR_REFUSED_EXTENSION));
}

TEST_F(ExtensionTest, SubmissionsRefuseAtOnceAndSignalNothing) {
  EXPECT_EQ(submit(make_extension(kUnknown, TSR_MUST_UNDERSTAND)),
            TSR_UNIMPLEMENTED);
  EXPECT_EQ(session_.timeline.value, 0u);
  EXPECT_EQ(submit(make_extension(kUnknown, 0)), TSR_OK);
}

TEST_F(ExtensionTest, ServicesThatMustBeUnderstoodAreRefused) {
  const tsr_ext unknown = node(kUnknown, TSR_MUST_UNDERSTAND);
  tsr_host_services services = make_services();
  services.next = &unknown;
  const tsr_api* table = nullptr;
  EXPECT_EQ(session_.header().get_api(TSR_ABI_MAJOR << 16, &services,
                                      &session_.error, &table),
            TSR_UNIMPLEMENTED);
  EXPECT_EQ(table, nullptr);
}

// A draft's payload as a reader of it sees it: found by name, older or newer
// than the reader's struct.
TEST(DraftOps, PayloadsAreReadByName) {
  tsr_draft_low_rank branch{};
  branch.struct_size = sizeof(branch);
  branch.down = 3;
  branch.up = 4;
  branch.rank = 16;
  branch.scale = 0.5F;
  std::vector<uint32_t> payload(sizeof(branch) / sizeof(uint32_t));
  std::memcpy(payload.data(), &branch, sizeof(branch));
  ProgramBuilder builder;
  const uint32_t x = builder.tokens(TSR_F32, {4});
  tsr_op_linear linear{};
  linear.x = linear.y = x;
  builder.op(
      TSR_OP_LINEAR, linear,
      {make_extension("com.vendor.other", 0, {1}),
       make_extension(TSR_DRAFT_LOW_RANK, TSR_MUST_UNDERSTAND, payload)});
  const auto record = builder.build();
  const sdk::ProgramView view(as_program(record));
  tsr_draft_low_rank read{};
  ASSERT_TRUE(view.ops()[0].extensions().find(TSR_DRAFT_LOW_RANK, &read));
  EXPECT_EQ(read.up, 4u);
  EXPECT_EQ(read.rank, 16u);
  EXPECT_EQ(read.scale, 0.5F);
  tsr_draft_conv2d absent{};
  EXPECT_FALSE(view.ops()[0].extensions().find(TSR_DRAFT_CONV2D, &absent));
}

}  // namespace
}  // namespace tessera::abi_test
