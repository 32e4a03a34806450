// SPDX-License-Identifier: Apache-2.0
//
// Level 2, queues: wrong submissions, floods, objects that are gone, steps of
// other sizes and buffers.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/robustness/queue_bench.hpp"

namespace tessera::conformance {
namespace {

Status wrong(const std::string& message) { return {TSR_INTERNAL, message}; }

// A wrong submission and what is wrong with it.
struct WrongCall {
  const char* what;
  std::function<void(SubmissionBuilder&, const QueueBench&)> spoil;
};

const std::vector<WrongCall>& wrong_calls() {
  static const std::vector<WrongCall> calls = {
      {"an unknown program",
       [](SubmissionBuilder& work, const QueueBench&) {
         work.set_program(UINT64_MAX - 5);
       }},
      {"an unknown buffer",
       [](SubmissionBuilder& work, const QueueBench&) {
         work.binding(0).buffer = UINT64_MAX - 5;
       }},
      {"a binding past the end of its buffer",
       [](SubmissionBuilder& work, const QueueBench&) {
         work.binding(0).offset += 4096;
       }},
      {"a binding whose end overflows",
       [](SubmissionBuilder& work, const QueueBench&) {
         work.binding(0).offset = UINT64_MAX - 255;
       }},
      {"a binding of a tensor that is not there",
       [](SubmissionBuilder& work, const QueueBench&) {
         work.binding(0).tensor = 1000;
       }},
      {"more tokens than the program's maximum",
       [](SubmissionBuilder& work, const QueueBench&) {
         work.record().num_tokens = 100000;
       }},
      {"more sequences than the program's maximum",
       [](SubmissionBuilder& work, const QueueBench&) {
         work.record().num_seqs = 100000;
       }},
      {"an unknown timeline",
       [](SubmissionBuilder& work, const QueueBench&) {
         work.add_wait({UINT64_MAX - 5, 1});
       }},
      {"a kind that does not exist",
       [](SubmissionBuilder& work, const QueueBench&) {
         work.record().kind = 77;
       }},
      {"bindings outside of the record",
       [](SubmissionBuilder& work, const QueueBench&) {
         work.record().bindings.offset = 1U << 20;
       }},
      {"bindings whose stride is too short",
       [](SubmissionBuilder& work, const QueueBench&) {
         work.record().bindings.stride = 4;
       }},
      {"a record shorter than its head",
       [](SubmissionBuilder& work, const QueueBench&) {
         work.record().record_bytes = 8;
       }},
  };
  return calls;
}

Status make_wrong_calls(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<QueueBench> bench,
                       QueueBench::open(context, trial));
  for (const WrongCall& call : wrong_calls()) {
    TSR_RETURN_IF_ERROR(bench->run->upload());
    // A timeline of its own: a failed one stays failed.
    Timeline timeline;
    TSR_ASSIGN_OR_RETURN(const uint64_t id,
                         timeline.import_into(bench->device));
    SubmissionBuilder work = bench->run->submission(id, 1);
    call.spoil(work, *bench);
    const Status submitted = bench->queue.submit(work.record());
    if (submitted.ok()) {
      const Status waited = timeline.wait(1, kPatienceNs);
      if (waited.ok()) {
        return wrong(std::string("accepts ") + call.what);
      }
      if (waited.code() == TSR_DEADLINE_EXCEEDED) {
        return {TSR_DEADLINE_EXCEEDED,
                std::string("never answers a submission with ") + call.what};
      }
    }
    if (bench->device->is_lost()) {
      return wrong(std::string("the device is lost after ") + call.what);
    }
  }
  TSR_RETURN_IF_ERROR(bench->run->upload());
  SubmissionBuilder work = bench->run->submission(bench->timeline_id, 1);
  TSR_RETURN_IF_ERROR(
      bench->outcome(work, 1).annotate("a right step after wrong ones"));
  TSR_RETURN_IF_ERROR(bench->check_result(trial));
  return context.allocator().check();
}

Status flood_queue(CaseContext& context, const OpTrial& trial, uint64_t steps) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<QueueBench> bench,
                       QueueBench::open(context, trial));
  TSR_RETURN_IF_ERROR(bench->run->upload());
  uint64_t reached = 0;
  for (uint64_t value = 1; value <= steps; ++value) {
    SubmissionBuilder work = bench->run->submission(bench->timeline_id, value);
    Status submitted = bench->queue.submit(work.record());
    if (submitted.code() == TSR_RESOURCE_EXHAUSTED) {
      TSR_RETURN_IF_ERROR(bench->timeline.wait(value - 1, kPatienceNs));
      submitted = bench->queue.submit(work.record());
    }
    TSR_RETURN_IF_ERROR(std::move(submitted).annotate(
        fmt::format("submission {} of a flood", value)));
    const uint64_t now = bench->timeline.value();
    if (now != UINT64_MAX && now < reached) {
      return wrong("a timeline went backwards");
    }
    reached = now;
  }
  const Status waited = bench->timeline.wait(steps, 4 * kPatienceNs);
  if (waited.code() == TSR_DEADLINE_EXCEEDED) {
    return {TSR_DEADLINE_EXCEEDED, "a flood of submissions does not end"};
  }
  TSR_RETURN_IF_ERROR(waited);
  // An accumulating op has done more than one step's work.
  bool accumulates = false;
  for (const Expected& one : trial.expected) {
    const auto& contents = trial.setup.tensor(one.tensor).contents;
    accumulates = accumulates || contents.front() != kPoison;
  }
  if (!accumulates) TSR_RETURN_IF_ERROR(bench->check_result(trial));
  return context.allocator().check();
}

// Objects that are gone must not be found.
Status use_after_destroy(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<QueueBench> bench,
                       QueueBench::open(context, trial));
  SubmissionBuilder work = bench->run->submission(bench->timeline_id, 1);
  bench->run.reset();
  const Status outcome = bench->outcome(work, 1);
  if (outcome.ok()) return wrong("runs a program that was destroyed");
  if (outcome.code() == TSR_DEADLINE_EXCEEDED) {
    return {TSR_DEADLINE_EXCEEDED, "never answers for a destroyed program"};
  }
  return context.allocator().check();
}

// The same program on other buffers: a submission's bindings count, not those
// of the step before it.
Status rebind(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<QueueBench> bench,
                       QueueBench::open(context, trial));
  TSR_ASSIGN_OR_RETURN(
      const std::unique_ptr<OpRun> other,
      OpRun::prepare(bench->device, trial.setup, Memory::kCreated));
  TSR_RETURN_IF_ERROR(bench->run->upload());
  TSR_RETURN_IF_ERROR(other->upload());
  SubmissionBuilder first = bench->run->submission(bench->timeline_id, 1);
  TSR_RETURN_IF_ERROR(bench->outcome(first, 1));
  SubmissionBuilder second = other->submission(bench->timeline_id, 2);
  second.set_program(bench->run->program_id());
  TSR_RETURN_IF_ERROR(bench->outcome(second, 2));
  TSR_RETURN_IF_ERROR(other->download());
  for (const Expected& one : trial.expected) {
    TSR_RETURN_IF_ERROR(
        other->check_values(one).annotate("bound to other buffers"));
  }
  return context.allocator().check();
}

// The same program in steps of other sizes: nothing of a step may stay.
Status shrink_and_grow(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<QueueBench> bench,
                       QueueBench::open(context, trial));
  const bool sized =
      trial.setup.kv_pools().empty() && bench->run->numbers().num_tokens > 1;
  for (const bool full : {true, false, true}) {
    if (!full && !sized) continue;
    const tsr_submission before = bench->run->numbers();
    if (!full) {
      bench->run->numbers().num_tokens = 1;
      bench->run->numbers().num_outputs = 1;
    }
    TSR_RETURN_IF_ERROR(bench->run->step());
    std::vector<Expected> expected = trial.expected;
    if (!full) {
      for (Expected& one : expected) one.rows /= before.num_tokens;
    }
    TSR_RETURN_IF_ERROR(bench->run->check_untouched(expected));
    for (const Expected& one : expected) {
      TSR_RETURN_IF_ERROR(bench->run->check_values(one));
    }
    bench->run->numbers() = before;
  }
  return context.allocator().check();
}

}  // namespace

void add_queue_cases(const Claim& /*claim*/, const CaseOptions& options,
                     CaseList& cases) {
  const uint64_t steps = options.quick ? 200 : 5000;
  add_queue_case("wrong_calls", make_wrong_calls, cases);
  add_queue_case(
      "flood",
      [steps](CaseContext& context, const OpTrial& trial) {
        return flood_queue(context, trial, steps);
      },
      cases);
  add_queue_case("use_after_destroy", use_after_destroy, cases);
  add_queue_case("shrink_and_grow", shrink_and_grow, cases);
  add_queue_case("rebind", rebind, cases);
}

}  // namespace tessera::conformance
