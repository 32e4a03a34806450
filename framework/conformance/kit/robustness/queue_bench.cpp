// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/robustness/queue_bench.hpp"

#include <algorithm>
#include <utility>

namespace tessera::conformance {

Result<std::unique_ptr<QueueBench>> QueueBench::open(CaseContext& context,
                                                     const OpTrial& trial) {
  auto bench = std::make_unique<QueueBench>();
  TSR_ASSIGN_OR_RETURN(bench->device, context.open_device());
  TSR_ASSIGN_OR_RETURN(
      bench->run, OpRun::prepare(bench->device, trial.setup, Memory::kCreated));
  for (uint32_t i = 0; i < trial.pools.size(); ++i) {
    TSR_RETURN_IF_ERROR(bench->run->write_pool(i, trial.pools[i]));
  }
  TSR_ASSIGN_OR_RETURN(bench->queue, bench->device->create_queue());
  TSR_ASSIGN_OR_RETURN(bench->timeline_id,
                       bench->timeline.import_into(bench->device));
  return bench;
}

Status QueueBench::outcome(SubmissionBuilder& work, uint64_t value) {
  TSR_RETURN_IF_ERROR(queue.submit(work.record()));
  return timeline.wait(value, kPatienceNs);
}

Status QueueBench::check_result(const OpTrial& trial) {
  TSR_RETURN_IF_ERROR(run->download());
  for (const Expected& one : trial.expected) {
    TSR_RETURN_IF_ERROR(run->check_values(one));
  }
  return {};
}

bool QueueBench::is_untouched() const {
  for (uint32_t id = 0; id < run->setup().tensors().size(); ++id) {
    const SetupTensor& made = run->setup().tensor(id);
    const auto result = run->result(id);
    if (!std::equal(result.begin(), result.end(), made.contents.begin())) {
      return false;
    }
  }
  return true;
}

void add_queue_case(const std::string& id, const TrialBody& body,
                    CaseList& cases) {
  const auto found =
      std::find_if(cases.begin(), cases.end(), [](const Case& one) {
        return one.trial && one.id.find("kv_append") == std::string::npos;
      });
  if (found == cases.end()) return;
  Case one;
  one.id = "L2/queue/" + id;
  one.limit_seconds = 30;
  one.run = [make = found->trial, body](CaseContext& context) -> Status {
    TSR_ASSIGN_OR_RETURN(const OpTrial trial, make());
    return body(context, trial);
  };
  cases.push_back(std::move(one));
}

}  // namespace tessera::conformance
