// SPDX-License-Identifier: Apache-2.0

#include "framework/host/remote/wire.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <thread>

#include "framework/host/remote/wire_structs.hpp"

namespace tessera {
namespace {

struct Sockets {
  Sockets() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    a = FileDescriptor(fds[0]);
    b = FileDescriptor(fds[1]);
  }
  FileDescriptor a;
  FileDescriptor b;
};

TEST(Wire, CarriesValuesTextsAndDescriptors) {
  const Sockets sockets;
  const Result<SharedMemory> memory = SharedMemory::create("test", 8);
  ASSERT_TRUE(memory.ok());
  *memory->data() = std::byte{42};
  WireWriter writer;
  writer.put(uint32_t{7});
  writer.put_text("");
  writer.put_text("three");
  writer.put_fd(memory->fd());
  writer.put(1.5);
  ASSERT_TRUE(send_message(sockets.a.get(), writer));
  WireReader reader;
  ASSERT_TRUE(receive_message(sockets.b.get(), reader));
  EXPECT_EQ(reader.get<uint32_t>(), 7u);
  EXPECT_EQ(reader.get_text(), "");
  EXPECT_EQ(reader.get_text(), "three");
  EXPECT_EQ(reader.get<double>(), 1.5);
  const Result<SharedMemory> there = SharedMemory::map(reader.get_fd(), 8);
  ASSERT_TRUE(there.ok());
  EXPECT_EQ(*there->data(), std::byte{42});
  EXPECT_TRUE(reader.ok());
}

TEST(Wire, ReadsZerosPastTheEnd) {
  const Sockets sockets;
  WireWriter writer;
  writer.put(uint64_t{1} << 60);  // as the length of a text
  ASSERT_TRUE(send_message(sockets.a.get(), writer));
  WireReader reader;
  ASSERT_TRUE(receive_message(sockets.b.get(), reader));
  EXPECT_EQ(reader.get_text(), "");
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.get<uint64_t>(), 0u);
  EXPECT_FALSE(reader.get_fd().is_open());
}

// Larger than any socket takes at once.
TEST(Wire, CarriesLargeMessages) {
  const Sockets sockets;
  const std::vector<std::byte> bytes(8 << 20, std::byte{3});
  std::thread sender([&] {
    WireWriter writer;
    writer.put_bytes(bytes);
    EXPECT_TRUE(send_message(sockets.a.get(), writer));
  });
  WireReader reader;
  EXPECT_TRUE(receive_message(sockets.b.get(), reader));
  sender.join();
  const auto received = reader.get_bytes();
  EXPECT_TRUE(
      std::equal(received.begin(), received.end(), bytes.begin(), bytes.end()));
}

TEST(Wire, NoticesThatTheOtherEndIsGone) {
  Sockets sockets;
  sockets.b = FileDescriptor();
  WireReader reader;
  EXPECT_FALSE(receive_message(sockets.a.get(), reader));
  EXPECT_FALSE(send_message(sockets.a.get(), WireWriter()));
}

TEST(Wire, RefusesNonsense) {
  const Sockets sockets;
  const uint64_t head[2] = {UINT64_MAX, 0};
  ASSERT_EQ(write(sockets.a.get(), head, sizeof(head)),
            static_cast<ssize_t>(sizeof(head)));
  WireReader reader;
  EXPECT_FALSE(receive_message(sockets.b.get(), reader));
}

TEST(Wire, CarriesExtensionsWithTheirPayload) {
  struct Speed {
    tsr_ext head;
    uint64_t value;
  };
  const tsr_ext last = {sizeof(last), TSR_MUST_UNDERSTAND, "com.b", nullptr};
  const Speed first = {{sizeof(first), 0, "com.a", &last}, 77};
  tsr_kv_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.head_dim = 64;
  desc.next = &first.head;
  const Sockets sockets;
  WireWriter writer;
  put_kv_desc(writer, desc);
  ASSERT_TRUE(send_message(sockets.a.get(), writer));
  WireReader reader;
  ASSERT_TRUE(receive_message(sockets.b.get(), reader));
  WireExtensions nodes;
  const tsr_kv_desc read = get_kv_desc(reader, nodes);
  EXPECT_EQ(read.head_dim, 64u);
  ASSERT_NE(read.next, nullptr);
  EXPECT_STREQ(read.next->name, "com.a");
  EXPECT_EQ(reinterpret_cast<const Speed*>(read.next)->value, 77u);
  ASSERT_NE(read.next->next, nullptr);
  EXPECT_STREQ(read.next->next->name, "com.b");
  EXPECT_EQ(read.next->next->flags, uint32_t{TSR_MUST_UNDERSTAND});
  EXPECT_EQ(read.next->next->next, nullptr);
}

// A damaged message gives zeros or values, but reads nothing outside of it.
TEST(Wire, StructsSurviveDamage) {
  const tsr_plane plane = {sizeof(plane), 1, 5, 4, 8, 1, 1, 0, 8, &plane};
  const tsr_weight_desc desc = {
      sizeof(desc), TSR_WEIGHT_I8, 4, 8, {&plane, 1, sizeof(plane)}, nullptr};
  WireWriter writer;
  put_weight_desc(writer, desc);
  DeviceFacts facts{};
  facts.kernels.resize(2);
  put_device_facts(writer, facts);
  const std::vector<std::byte> whole(writer.bytes().begin(),
                                     writer.bytes().end());
  std::mt19937 rng(42);
  std::byte shared[64] = {};
  for (int round = 0; round < 3000; ++round) {
    WireReader reader;
    const size_t bytes = rng() % 2 == 0 ? whole.size() : rng() % whole.size();
    std::byte* message = reader.reset(bytes);
    std::copy_n(whole.begin(), bytes, message);
    for (uint32_t flips = rng() % 4; flips > 0 && bytes > 0; --flips) {
      message[rng() % bytes] = static_cast<std::byte>(rng());
    }
    WireWeight weight;
    if (get_weight_desc(reader, shared, sizeof(shared), &weight)) {
      for (const tsr_plane& read : weight.planes) {
        if (read.data == nullptr) continue;
        EXPECT_LE(read.rows * read.row_bytes, sizeof(shared));
      }
    }
    WireFacts read_facts;
    get_device_facts(reader, &read_facts);
  }
}

}  // namespace
}  // namespace tessera
