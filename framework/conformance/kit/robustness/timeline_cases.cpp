// SPDX-License-Identifier: Apache-2.0
//
// Level 2, timelines: waits that fail or come late, signals that must not come
// early, and more than one of each.

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/robustness/queue_bench.hpp"

namespace tessera::conformance {
namespace {

Status wrong(const std::string& message) { return {TSR_INTERNAL, message}; }

Status wait_for_failure(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<QueueBench> bench,
                       QueueBench::open(context, trial));
  TSR_RETURN_IF_ERROR(bench->run->upload());
  Timeline gate;
  TSR_ASSIGN_OR_RETURN(const uint64_t gate_id, gate.import_into(bench->device));
  gate.fail(TSR_CANCELLED);
  SubmissionBuilder work = bench->run->submission(bench->timeline_id, 1);
  work.add_wait({gate_id, 1});
  const Status outcome = bench->outcome(work, 1);
  if (outcome.code() == TSR_DEADLINE_EXCEEDED) {
    return {TSR_DEADLINE_EXCEEDED,
            "a step that waits for a failed timeline never ends"};
  }
  if (outcome.ok()) return wrong("runs although what it waits for has failed");
  if (outcome.code() != TSR_CANCELLED) {
    return wrong("the failure that it waits for is CANCELLED, but passes on " +
                 status_name(outcome.code()));
  }
  TSR_RETURN_IF_ERROR(bench->run->download());
  if (!bench->is_untouched()) {
    return wrong("works although what it waits for has failed");
  }
  return {};
}

// Of two waits one is over already.
Status wait_for_late_signal(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<QueueBench> bench,
                       QueueBench::open(context, trial));
  TSR_RETURN_IF_ERROR(bench->run->upload());
  Timeline open;
  TSR_ASSIGN_OR_RETURN(const uint64_t open_id, open.import_into(bench->device));
  open.signal(1);
  Timeline gate;
  TSR_ASSIGN_OR_RETURN(const uint64_t gate_id, gate.import_into(bench->device));
  SubmissionBuilder work = bench->run->submission(bench->timeline_id, 1);
  work.add_wait({open_id, 1});
  work.add_wait({gate_id, 3});
  Status submitted;
  std::thread submitter(
      [&] { submitted = bench->queue.submit(work.record()); });
  gate.signal(2);
  std::this_thread::sleep_for(std::chrono::milliseconds(15));
  const bool early = bench->timeline.value() != 0;
  gate.signal(3);
  const Status waited = bench->timeline.wait(1, kPatienceNs);
  if (waited.code() == TSR_DEADLINE_EXCEEDED) {
    submitter.detach();  // this process ends with the case
    return {TSR_DEADLINE_EXCEEDED, "does not see a timeline that is signalled"};
  }
  submitter.join();
  TSR_RETURN_IF_ERROR(submitted);
  TSR_RETURN_IF_ERROR(waited);
  if (early) return wrong("does not wait for value 3 of a timeline at 2");
  return bench->check_result(trial);
}

Status signal_two(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<QueueBench> bench,
                       QueueBench::open(context, trial));
  TSR_RETURN_IF_ERROR(bench->run->upload());
  Timeline second;
  TSR_ASSIGN_OR_RETURN(const uint64_t second_id,
                       second.import_into(bench->device));
  SubmissionBuilder work = bench->run->submission(bench->timeline_id, 1);
  work.add_signal({second_id, 7});
  TSR_RETURN_IF_ERROR(bench->outcome(work, 1));
  const Status waited = second.wait(7, kPatienceNs);
  if (waited.code() == TSR_DEADLINE_EXCEEDED) {
    return {TSR_DEADLINE_EXCEEDED, "signals one of two timelines"};
  }
  TSR_RETURN_IF_ERROR(waited);
  return bench->check_result(trial);
}

// Whoever waits may read at once.  The waiter is another thread, for devices
// that have worked before submit returns.
Status read_at_signal(CaseContext& context, const OpTrial& trial) {
  constexpr uint64_t kTimes = 20;
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<QueueBench> bench,
                       QueueBench::open(context, trial));
  for (uint64_t value = 1; value <= kTimes; ++value) {
    TSR_RETURN_IF_ERROR(bench->run->upload());
    SubmissionBuilder work = bench->run->submission(bench->timeline_id, value);
    std::atomic<bool> waits = false;
    Status read;
    std::thread reader([&] {
      waits = true;
      read = bench->timeline.wait(value, kPatienceNs);
      if (read.ok()) read = bench->run->download();
    });
    while (!waits) std::this_thread::yield();
    const Status submitted = bench->queue.submit(work.record());
    reader.join();
    TSR_RETURN_IF_ERROR(submitted);
    TSR_RETURN_IF_ERROR(read);
    for (const Expected& one : trial.expected) {
      TSR_RETURN_IF_ERROR(
          bench->run->check_values(one).annotate("read once it was signalled"));
    }
  }
  return context.allocator().check();
}

}  // namespace

void add_timeline_cases(CaseList& cases) {
  add_queue_case("failed_wait", wait_for_failure, cases);
  add_queue_case("late_signal", wait_for_late_signal, cases);
  add_queue_case("two_signals", signal_two, cases);
  add_queue_case("early_signal", read_at_signal, cases);
}

}  // namespace tessera::conformance
