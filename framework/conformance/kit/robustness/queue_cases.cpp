// SPDX-License-Identifier: Apache-2.0
//
// Level 2, queues: wrong submissions, floods, order, waits that come late or
// fail.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "framework/conformance/kit/cases.hpp"

namespace tessera::conformance {
namespace {

using TrialMaker = std::function<Result<OpTrial>()>;

Status wrong(const std::string& message) { return {TSR_INTERNAL, message}; }

// A prepared trial with a queue and a timeline.
struct Bench {
  std::shared_ptr<Device> device;
  std::unique_ptr<OpRun> run;
  Queue queue;
  Timeline timeline;
  uint64_t timeline_id = 0;

  static Result<std::unique_ptr<Bench>> open(CaseContext& context,
                                             const OpTrial& trial) {
    auto bench = std::make_unique<Bench>();
    TSR_ASSIGN_OR_RETURN(bench->device, context.open_device());
    TSR_ASSIGN_OR_RETURN(bench->run, OpRun::prepare(bench->device, trial.setup,
                                                    Memory::kCreated));
    for (uint32_t i = 0; i < trial.pools.size(); ++i) {
      TSR_RETURN_IF_ERROR(bench->run->write_pool(i, trial.pools[i]));
    }
    TSR_ASSIGN_OR_RETURN(bench->queue, bench->device->create_queue());
    TSR_ASSIGN_OR_RETURN(bench->timeline_id,
                         bench->timeline.import_into(bench->device));
    return bench;
  }

  // Submits, waits a little, and returns what came of it.
  Status outcome(SubmissionBuilder& work, uint64_t value) {
    TSR_RETURN_IF_ERROR(queue.submit(work.record()));
    return timeline.wait(value, kPatienceNs);
  }
  bool is_untouched() const {
    for (uint32_t id = 0; id < run->setup().tensors().size(); ++id) {
      const SetupTensor& made = run->setup().tensor(id);
      const auto result = run->result(id);
      if (!std::equal(result.begin(), result.end(), made.contents.begin())) {
        return false;
      }
    }
    return true;
  }
  Status check_result(const OpTrial& trial) {
    TSR_RETURN_IF_ERROR(run->download());
    for (const Expected& one : trial.expected) {
      TSR_RETURN_IF_ERROR(run->check_values(one));
    }
    return {};
  }
};

// A wrong submission and what is wrong with it.
struct WrongCall {
  const char* what;
  std::function<void(SubmissionBuilder&, const Bench&)> spoil;
};

const std::vector<WrongCall>& wrong_calls() {
  static const std::vector<WrongCall> calls = {
      {"an unknown program",
       [](SubmissionBuilder& work, const Bench&) {
         work.set_program(UINT64_MAX - 5);
       }},
      {"an unknown buffer",
       [](SubmissionBuilder& work, const Bench&) {
         work.binding(0).buffer = UINT64_MAX - 5;
       }},
      {"a binding past the end of its buffer",
       [](SubmissionBuilder& work, const Bench&) {
         work.binding(0).offset += 4096;
       }},
      {"a binding whose end overflows",
       [](SubmissionBuilder& work, const Bench&) {
         work.binding(0).offset = UINT64_MAX - 255;
       }},
      {"a binding of a tensor that is not there",
       [](SubmissionBuilder& work, const Bench&) {
         work.binding(0).tensor = 1000;
       }},
      {"more tokens than the program's maximum",
       [](SubmissionBuilder& work, const Bench&) {
         work.record().num_tokens = 100000;
       }},
      {"more sequences than the program's maximum",
       [](SubmissionBuilder& work, const Bench&) {
         work.record().num_seqs = 100000;
       }},
      {"an unknown timeline",
       [](SubmissionBuilder& work, const Bench&) {
         work.add_wait({UINT64_MAX - 5, 1});
       }},
      {"a kind that does not exist",
       [](SubmissionBuilder& work, const Bench&) { work.record().kind = 77; }},
      {"bindings outside of the record",
       [](SubmissionBuilder& work, const Bench&) {
         work.record().bindings.offset = 1U << 20;
       }},
      {"bindings whose stride is too short",
       [](SubmissionBuilder& work, const Bench&) {
         work.record().bindings.stride = 4;
       }},
      {"a record shorter than its head",
       [](SubmissionBuilder& work, const Bench&) {
         work.record().record_bytes = 8;
       }},
  };
  return calls;
}

Status make_wrong_calls(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Bench> bench,
                       Bench::open(context, trial));
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
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Bench> bench,
                       Bench::open(context, trial));
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

Status wait_for_failure(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Bench> bench,
                       Bench::open(context, trial));
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

Status wait_for_late_signal(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Bench> bench,
                       Bench::open(context, trial));
  TSR_RETURN_IF_ERROR(bench->run->upload());
  Timeline gate;
  TSR_ASSIGN_OR_RETURN(const uint64_t gate_id, gate.import_into(bench->device));
  SubmissionBuilder work = bench->run->submission(bench->timeline_id, 1);
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

// Objects that are gone must not be found.
Status use_after_destroy(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Bench> bench,
                       Bench::open(context, trial));
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
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Bench> bench,
                       Bench::open(context, trial));
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
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Bench> bench,
                       Bench::open(context, trial));
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
  const auto found =
      std::find_if(cases.begin(), cases.end(), [](const Case& one) {
        return one.trial && one.id.find("kv_append") == std::string::npos;
      });
  if (found == cases.end()) return;
  const TrialMaker make = found->trial;
  using Body = std::function<Status(CaseContext&, const OpTrial&)>;
  const auto add = [&](const char* id, const Body& body) {
    Case one;
    one.id = std::string("L2/queue/") + id;
    one.limit_seconds = 30;
    one.run = [make, body](CaseContext& context) -> Status {
      TSR_ASSIGN_OR_RETURN(const OpTrial trial, make());
      return body(context, trial);
    };
    cases.push_back(std::move(one));
  };
  const uint64_t steps = options.quick ? 200 : 5000;
  add("wrong_calls", make_wrong_calls);
  add("flood", [steps](CaseContext& context, const OpTrial& trial) {
    return flood_queue(context, trial, steps);
  });
  add("failed_wait", wait_for_failure);
  add("late_signal", wait_for_late_signal);
  add("use_after_destroy", use_after_destroy);
  add("shrink_and_grow", shrink_and_grow);
  add("rebind", rebind);
}

}  // namespace tessera::conformance
