// SPDX-License-Identifier: Apache-2.0
//
// Requests of several threads in the same steps of one session.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/runtime/generator.hpp"
#include "framework/runtime/running_sequence.hpp"
#include "framework/runtime/session.hpp"

namespace tessera::session {

// A thread of its own takes steps as long as somebody waits for tokens.  Each
// step holds the next token of every running request, then prompt tokens as far
// as there is room: a long prompt delays the others by one step at a time.
// Requests get a free sequence in the order in which they came.
//
// Threads  any may call run(); each waits for its own request alone
class Batcher {
 public:
  Batcher(std::unique_ptr<Session> session, std::vector<int32_t> eos_ids);
  // Nobody may be in run().
  ~Batcher();
  // Ends every request, running or not, with UNAVAILABLE, and all that come.
  void stop();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  const SessionOptions& options() const { return session_->options(); }

  // Calls `on_token` in the caller's thread with each new token; false ends the
  // request.  A slow callback delays no other request.
  //
  // Errors  INVALID_ARGUMENT if the prompt is empty, exceeds the context, or an
  //         option is out of range; those of Session::step(), for all that run
  Result<Generation> run(const Request& request,
                         const std::function<bool(int32_t token)>& on_token);

 private:
  // Lives where its caller waits.
  struct Job {
    RunningSequence running;
    uint32_t max_new_tokens = 0;
    std::condition_variable changed;
    // Guarded by mutex_.
    Generation generation;
    Status status;
    bool has_sequence = false;
    bool is_cancelled = false;
    bool is_done = false;
  };

  void work();
  void admit();
  void drop_cancelled();
  void fail_all(const Status& status);
  void take_tokens(const Status& status);
  void take_token(Job& job, int32_t token);
  void finish(Job& job);
  Generation follow(Job& job,
                    const std::function<bool(int32_t token)>& on_token);

  std::unique_ptr<Session> session_;
  std::vector<int32_t> eos_ids_;
  std::mutex mutex_;
  std::condition_variable wanted_;  // there is something to do
  std::deque<Job*> waiting_;
  std::vector<Job*> active_;
  bool is_over_ = false;
  // Of the working thread alone.
  std::vector<RunningSequence*> running_;
  StepFeeds step_;
  std::thread worker_;  // last: it uses all of the above
};

}  // namespace tessera::session
