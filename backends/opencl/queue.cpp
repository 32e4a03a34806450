// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/queue.hpp"

#include <cstring>
#include <string>
#include <utility>

#include "backends/opencl/program.hpp"

namespace tessera::opencl {

OpenClQueue::~OpenClQueue() {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return deferred_.empty(); });
    is_closing_ = true;
  }
  changed_.notify_all();
  if (waiter_.joinable()) waiter_.join();
  drain();
}

// ---- Points

OpenClQueue::Points OpenClQueue::resolve(
    const sdk::Elements<tsr_point>& points) const {
  Points resolved;
  for (uint32_t i = 0; i < points.size(); ++i) {
    resolved.push_back({device_.timeline(points[i].timeline), points[i].value});
  }
  return resolved;
}

tsr_status OpenClQueue::wait_for(const Points& points,
                                 uint64_t timeout_ns) const {
  const tsr_host_services& host = device_.host();
  tsr_status status = TSR_OK;
  for (const Point& point : points) {
    const tsr_status waited = host.timeline_wait(
        host.host, point.timeline.get(), point.value, timeout_ns);
    if (status == TSR_OK) status = waited;
  }
  return status;
}

void OpenClQueue::signal(const Points& points, tsr_status status) const {
  const tsr_host_services& host = device_.host();
  for (const Point& point : points) {
    host.timeline_signal(host.host, point.timeline.get(), point.value, status);
  }
}

// ---- Submissions

void OpenClQueue::submit(const sdk::SubmissionView& submission) {
  const Points waits = resolve(submission.waits());
  Points signals = resolve(submission.signals());
  if (!device_.options().is_async) {
    const tsr_status waited = wait_for(waits, UINT64_MAX);
    if (waited != TSR_OK) return signal(signals, waited);
    start(submission, std::move(signals));
    return drain();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  const bool is_first = deferred_.empty();
  const tsr_status waited =
      is_first ? wait_for(waits, 0) : TSR_DEADLINE_EXCEEDED;
  if (waited == TSR_OK) {
    lock.unlock();
    return start(submission, std::move(signals));
  }
  // A thread waits, so that the caller may go on and do what it waits for.
  Deferred deferred{submission.copy(), waits, std::move(signals)};
  deferred_.push_back(std::move(deferred));
  if (!waiter_.joinable()) waiter_ = std::thread([this] { run_deferred(); });
  lock.unlock();
  changed_.notify_all();
}

void OpenClQueue::run_deferred() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return is_closing_ || !deferred_.empty(); });
    if (deferred_.empty()) return;
    // It stays in front until it is started, so that later ones queue up.
    Deferred& next = deferred_.front();
    lock.unlock();
    const tsr_status waited = wait_for(next.waits, UINT64_MAX);
    if (waited == TSR_OK) {
      start(sdk::SubmissionView(
                reinterpret_cast<const tsr_submission*>(next.record.data())),
            std::move(next.signals));
    } else {
      drain();
      signal(next.signals, waited);
    }
    lock.lock();
    deferred_.pop_front();
    changed_.notify_all();
  }
}

void OpenClQueue::start(const sdk::SubmissionView& submission, Points signals) {
  tsr_error error{};
  error.struct_size = sizeof(error);
  tsr_status status = TSR_OK;
  if (submission.value().kind == TSR_SUBMIT_PROGRAM) {
    status =
        sdk::detail::guard(&error, [&] { start_step(submission, signals); });
    if (status == TSR_OK) return;
  } else {
    status = sdk::detail::guard(&error, [&] { run_transfer(submission); });
  }
  if (status != TSR_OK) {
    device_.host().log(device_.host().host, TSR_LOG_ERROR, error.message);
  }
  drain();
  signal(signals, status);
}

void OpenClQueue::start_step(const sdk::SubmissionView& submission,
                             const Points& signals) {
  auto step = device_.program(submission.value().program)
                  ->start(queue_.get(), submission);
  if (device_.options().is_async) return follow(std::move(step), signals);
  cl_event done = step->done.get();
  // A failure shows in the event's status.
  clWaitForEvents(1, &done);
  InFlight flight{this, std::move(step), signals};
  end(flight);
  signal(flight.signals, flight.status);
}

void OpenClQueue::follow(std::unique_ptr<RunningStep> step,
                         const Points& signals) {
  cl_event done = step->done.get();
  InFlight* flight = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    flights_.push_back({this, std::move(step), signals});
    flight = &flights_.back();  // a deque's elements stay where they are
  }
  const cl_int code = clSetEventCallback(done, CL_COMPLETE, &on_done, flight);
  if (code == CL_SUCCESS) return;
  clWaitForEvents(1, &done);
  on_done(done, CL_COMPLETE, flight);
}

void OpenClQueue::end(InFlight& flight) {
  tsr_error error{};
  error.struct_size = sizeof(error);
  flight.status = sdk::detail::guard(&error, [&] { flight.step->finish(); });
  if (flight.status != TSR_OK) {
    device_.host().log(device_.host().host, TSR_LOG_ERROR, error.message);
  }
}

// The driver calls this from a thread of its own.
void CL_CALLBACK OpenClQueue::on_done(cl_event /*event*/, cl_int /*status*/,
                                      void* flight) {
  auto& ended = *static_cast<InFlight*>(flight);
  OpenClQueue& queue = *ended.queue;
  queue.end(ended);
  const std::lock_guard<std::mutex> lock(queue.mutex_);
  ended.is_done = true;
  while (!queue.flights_.empty() && queue.flights_.front().is_done) {
    const InFlight& front = queue.flights_.front();
    queue.signal(front.signals, front.status);
    queue.flights_.pop_front();
  }
  // Under the lock: the queue may be gone right after it.
  queue.changed_.notify_all();
}

void OpenClQueue::drain() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return flights_.empty(); });
}

}  // namespace tessera::opencl
