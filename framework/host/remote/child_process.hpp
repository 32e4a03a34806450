// SPDX-License-Identifier: Apache-2.0
//
// The host's end of a plugin in a child process: it starts the child, carries
// calls, and notices when the child dies.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/remote/calls.hpp"
#include "framework/host/remote/mailbox.hpp"
#include "framework/host/remote/wire.hpp"
#include "framework/host/services/shared_memory.hpp"
#include "tessera/plugin.h"

namespace tessera {

// Any thread.
//
// The child is killed when a call takes too long, when it closes its socket,
// and, by the kernel, when this process ends.
class ChildProcess {
 public:
  using Log = std::function<void(uint32_t level, std::string_view line)>;

  // What loads, packs or compiles may take ten minutes, any other call
  // `step_limit_ns`.
  //
  // Errors: NOT_FOUND if the child's program is not beside this one's;
  //         RESOURCE_EXHAUSTED.
  static Result<std::shared_ptr<ChildProcess>> start(Log log,
                                                     uint64_t step_limit_ns);
  // Ends the child.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // From now on the death of the child fails `cell`.
  void watch(tsr_timeline* cell);
  void forget(tsr_timeline* cell);

  // Kills the child, which `why` tells ("hung: ...").
  void abandon(const std::string& why) { declare_dead(why); }

 private:
  friend class RemoteCall;

  ChildProcess(FileDescriptor socket, FileDescriptor log_socket,
               Mailbox mailbox, Log log, uint64_t step_limit_ns);

  // Starts the child with its ends of the lines, and watches it until it or
  // this ends.  The child belongs to the thread that started it: the kernel
  // kills it with that thread.
  void run(FileDescriptor socket, FileDescriptor log_socket,
           std::promise<Status> started);
  // Waits for the child's end and its log lines.
  void watch_child();
  void read_log();
  // `cause` is empty if the child ended by itself.
  void declare_dead(const std::string& cause = "");
  void end();

  pid_t pid_ = -1;
  FileDescriptor socket_;
  FileDescriptor log_socket_;
  Mailbox mailbox_;
  uint64_t step_limit_ns_;
  FileDescriptor pid_fd_;   // not open on old kernels
  FileDescriptor stop_fd_;  // ends the watcher
  Log log_;

  // One call at a time.
  std::mutex call_mutex_;
  WireWriter request_;
  WireReader reply_;
  SharedMemory bulk_;  // planes on their way to the child

  std::mutex death_mutex_;
  std::atomic<bool> dead_ = false;
  std::string cause_;  // of the death
  std::vector<tsr_timeline*> timelines_;
  std::thread watcher_;
};

// One call: arguments in, run, results out.  Holds the line to the child from
// its making to its end.
class RemoteCall {
 public:
  RemoteCall(ChildProcess& child, CallId id);

  WireWriter& arguments() { return child_.request_; }
  // Copies `bytes` to where the child can read them during this call, from
  // `offset` of the shared memory that arguments() name; see reserve_bulk.
  SharedMemory& bulk() { return child_.bulk_; }
  // Makes bulk() at least that large; true if it is a new one, which the child
  // must be told of.
  // Errors: RESOURCE_EXHAUSTED.
  Result<bool> reserve_bulk(uint64_t bytes);

  // What the plugin returned.  INTERNAL with DEVICE_LOST if the child is dead.
  tsr_status run(tsr_error* err);
  WireReader& results() { return child_.reply_; }

 private:
  ChildProcess& child_;
  uint64_t limit_ns_;
  std::unique_lock<std::mutex> lock_;
};

// Writes an error of the host's own into `err`, which may be null.
tsr_status fail_call(tsr_error* err, tsr_status code, uint32_t retry,
                     const std::string& message);

}  // namespace tessera
