// SPDX-License-Identifier: Apache-2.0
//
// An in-order queue.  The event of a submission's last command becomes the
// value of its timelines: submit returns once the work is enqueued, or, for
// devices whose work takes the host's own cores, once it is done.

#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "backends/opencl/device.hpp"
#include "backends/opencl/running_step.hpp"
#include "tessera/plugin.hpp"

namespace tessera::opencl {

class OpenClQueue final : public sdk::Queue {
 public:
  explicit OpenClQueue(OpenClDevice& device)
      : device_(device), queue_(device.make_queue()) {}
  // Waits for what was submitted.
  ~OpenClQueue() override;

  void submit(const sdk::SubmissionView& submission) override;

 private:
  // A value of a timeline.
  struct Point {
    std::shared_ptr<tsr_timeline> timeline;
    uint64_t value;
  };
  using Points = std::vector<Point>;

  // A submission whose waits were not reached.
  struct Deferred {
    std::vector<uint64_t> record;
    Points waits;
    Points signals;
  };

  // A submission on the device.
  struct InFlight {
    OpenClQueue* queue;
    std::unique_ptr<RunningStep> step;
    Points signals;
    bool is_done = false;
    tsr_status status = TSR_OK;
  };

  // Throws NOT_FOUND for an unknown timeline.
  Points resolve(const sdk::Elements<tsr_point>& points) const;
  tsr_status wait_for(const Points& points, uint64_t timeout_ns) const;
  void signal(const Points& points, tsr_status status) const;

  // Starts the work, and sees to its signals.
  void start(const sdk::SubmissionView& submission, Points signals);
  void start_step(const sdk::SubmissionView& submission, const Points& signals);
  void follow(std::unique_ptr<RunningStep> step, const Points& signals);
  static void CL_CALLBACK on_done(cl_event event, cl_int status, void* flight);
  void end(InFlight& flight);
  // Until all that is on the device is done and signalled.
  void drain();
  void run_deferred();

  // What happens inside submit.
  void run_transfer(const sdk::SubmissionView& submission);
  void copy_buffers(const tsr_submission& copy);
  void copy_kv_blocks(const sdk::SubmissionView& submission);
  void transfer_kv_blocks(const sdk::SubmissionView& submission);
  // One range from a buffer to another, or to itself.
  struct Range {
    Buffer* buffer;
    uint64_t offset;
  };
  void copy(const Range& from, const Range& to, uint64_t bytes);

  OpenClDevice& device_;
  QueueHandle queue_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<InFlight> flights_;   // in order; signalled from the front
  std::deque<Deferred> deferred_;  // the front one is being waited for
  bool is_closing_ = false;
  std::thread waiter_;  // made when a submission must wait
};

}  // namespace tessera::opencl
