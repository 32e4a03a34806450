// SPDX-License-Identifier: Apache-2.0

#include "framework/host/remote/mailbox.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace tessera {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

// Both ends in one process.
class Mailboxes : public ::testing::Test {
 protected:
  void SetUp() override {
    int fds[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    host_socket_ = FileDescriptor(fds[0]);
    child_socket_ = FileDescriptor(fds[1]);
    Result<Mailbox> host = Mailbox::create();
    ASSERT_TRUE(host.ok()) << host.status().message();
    host_ = std::move(*host);
    Result<Mailbox> child =
        Mailbox::open(FileDescriptor(fcntl(host_.fd(), F_DUPFD_CLOEXEC, 0)));
    ASSERT_TRUE(child.ok()) << child.status().message();
    child_ = std::move(*child);
  }

  Arrival receive_at_child(WireReader& reader, uint64_t limit_ns = kSecond) {
    return child_.receive(child_socket_.get(), limit_ns, gone_, reader);
  }

  FileDescriptor host_socket_;
  FileDescriptor child_socket_;
  Mailbox host_;
  Mailbox child_;
  std::atomic<bool> gone_ = false;
};

TEST_F(Mailboxes, CarryMessagesOfAnySize) {
  for (const size_t bytes : {size_t{0}, size_t{8}, size_t{65536 - 8},
                             size_t{65536}, size_t{65544}, size_t{3} << 20}) {
    WireWriter writer;
    const std::vector<std::byte> data(bytes, std::byte{7});
    writer.put_bytes(data);
    std::thread sender(
        [&] { EXPECT_TRUE(host_.send(host_socket_.get(), writer)); });
    WireReader reader;
    ASSERT_EQ(receive_at_child(reader, 20 * kSecond), Arrival::kMessage);
    const auto read = reader.get_bytes();
    EXPECT_TRUE(reader.ok());
    EXPECT_EQ(std::vector<std::byte>(read.begin(), read.end()), data);
    sender.join();
  }
}

TEST_F(Mailboxes, CarryDescriptors) {
  WireWriter writer;
  writer.put(uint64_t{5});
  writer.put_fd(STDERR_FILENO);
  ASSERT_TRUE(host_.send(host_socket_.get(), writer));
  WireReader reader;
  ASSERT_EQ(receive_at_child(reader), Arrival::kMessage);
  EXPECT_EQ(reader.get<uint64_t>(), 5u);
  EXPECT_TRUE(reader.get_fd().is_open());
}

TEST_F(Mailboxes, AnswerInTurn) {
  constexpr uint64_t kRounds = 20'000;
  std::thread child([&] {
    WireReader reader;
    WireWriter writer;
    for (uint64_t i = 0; i < kRounds; ++i) {
      ASSERT_EQ(receive_at_child(reader, 60 * kSecond), Arrival::kMessage);
      writer.clear();
      writer.put(reader.get<uint64_t>() + 1);
      ASSERT_TRUE(child_.send(child_socket_.get(), writer));
    }
  });
  WireReader reader;
  WireWriter writer;
  for (uint64_t i = 0; i < kRounds; ++i) {
    writer.clear();
    writer.put(i);
    ASSERT_TRUE(host_.send(host_socket_.get(), writer));
    ASSERT_EQ(host_.receive(host_socket_.get(), 60 * kSecond, gone_, reader),
              Arrival::kMessage);
    ASSERT_EQ(reader.get<uint64_t>(), i + 1);
  }
  child.join();
}

TEST_F(Mailboxes, ALateMessageIsNoMessage) {
  WireReader reader;
  EXPECT_EQ(receive_at_child(reader, 1'000'000), Arrival::kLate);
}

TEST_F(Mailboxes, AWaitEndsWhenTheOtherEndIsGone) {
  std::thread watcher([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    gone_ = true;
    child_.wake();
  });
  WireReader reader;
  EXPECT_EQ(receive_at_child(reader, UINT64_MAX), Arrival::kGone);
  watcher.join();
}

TEST(Mailbox, RefusesMemoryThatIsTooSmall) {
  auto memory = SharedMemory::create("small", 4096);
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(
      Mailbox::open(FileDescriptor(fcntl(memory->fd(), F_DUPFD_CLOEXEC, 0)))
          .status()
          .code(),
      TSR_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tessera
