// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/generator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "framework/runtime/running_sequence.hpp"

namespace tessera {
namespace {

using Clock = std::chrono::steady_clock;

uint64_t elapsed_ns(Clock::time_point begin) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin)
          .count());
}

struct Active : RunningSequence {
  Active(RunningSequence running, size_t index)
      : RunningSequence(std::move(running)), request(index) {}
  size_t request;
};

class Generator {
 public:
  Generator(Session& session, const std::vector<Request>& requests,
            const std::vector<int32_t>& eos_ids, const TokenCallback& on_token,
            const Survival& survival)
      : session_(session),
        requests_(requests),
        eos_ids_(eos_ids),
        on_token_(on_token),
        survival_(survival) {
    result_.generations.resize(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      result_.generations[i].tokens.reserve(most_tokens(requests[i]));
      result_.prompt_tokens += requests[i].prompt.size();
    }
    size_t max_steps = 0;
    for (const Request& request : requests) {
      max_steps += most_tokens(request);
    }
    step_host_ns_.reserve(max_steps);
    active_.reserve(session.options().max_seqs);
    running_.reserve(session.options().max_seqs);
    step_.feeds.reserve(session.options().max_seqs);
    step_.fed.reserve(session.options().max_seqs);
  }
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;
  ~Generator() {
    for (const Active& active : active_) {
      session_.close_sequence(active.sequence);
    }
  }

  Status check() const {
    const uint32_t context = session_.options().max_context;
    for (size_t i = 0; i < requests_.size(); ++i) {
      const size_t length = requests_[i].prompt.size();
      if (length == 0) {
        return {TSR_INVALID_ARGUMENT, fmt::format("prompt {} is empty", i)};
      }
      if (length > context) {
        return {TSR_INVALID_ARGUMENT,
                fmt::format("prompt {} has {} tokens, the context holds {}", i,
                            length, context)};
      }
    }
    return {};
  }

  Status run() {
    while (true) {
      TSR_RETURN_IF_ERROR(admit());
      if (active_.empty()) return {};
      TSR_RETURN_IF_ERROR(step());
    }
  }

  GenerationResult take_result() {
    if (!step_host_ns_.empty()) {
      const auto middle = step_host_ns_.begin() +
                          static_cast<ptrdiff_t>(step_host_ns_.size() / 2);
      std::nth_element(step_host_ns_.begin(), middle, step_host_ns_.end());
      result_.median_step_host_ns = *middle;
    }
    return std::move(result_);
  }

 private:
  // New tokens that a request can get at all.
  size_t most_tokens(const Request& request) const {
    return std::min(request.max_new_tokens, session_.options().max_context + 1);
  }

  // Gives free sequences to waiting requests.
  Status admit() {
    while (next_request_ < requests_.size() &&
           active_.size() < session_.options().max_seqs) {
      const Request& request = requests_[next_request_];
      if (request.max_new_tokens > 0) {
        TSR_ASSIGN_OR_RETURN(
            Sampler sampler,
            Sampler::create(request.sampling, session_.graph().vocab_size));
        TSR_ASSIGN_OR_RETURN(const uint32_t sequence, session_.open_sequence());
        active_.emplace_back(
            RunningSequence{sequence, request.prompt, 0, 0, std::move(sampler)},
            next_request_);
      }
      ++next_request_;
    }
    return {};
  }

  Status switch_plan(const Status& failure) {
    const Clock::time_point begin = Clock::now();
    TSR_RETURN_IF_ERROR(
        survival_.switch_plan(session_, result_.num_steps, failure));
    result_.switch_ns += elapsed_ns(begin);
    return {};
  }

  // Changes the plan for as long as devices fail.
  Status survive(Status status) {
    while (!status.ok() && survival_.switch_plan &&
           !session_.failed_device().empty()) {
      TSR_RETURN_IF_ERROR(switch_plan(status));
      status = session_.step(step_.feeds);
    }
    return status;
  }

  Status step() {
    running_.clear();
    for (Active& active : active_) running_.push_back(&active);
    collect_feeds(running_, session_.options().max_tokens, step_);
    if (survival_.switch_at == result_.num_steps)
      TSR_RETURN_IF_ERROR(switch_plan({}));
    const uint64_t switch_before = result_.switch_ns;
    const uint64_t device_before = session_.times().device_ns;
    const uint64_t simulated_before = session_.times().simulated_ns;
    const Clock::time_point begin = Clock::now();
    TSR_RETURN_IF_ERROR(survive(session_.step(step_.feeds)));
    ++result_.num_steps;
    uint64_t made = 0;
    for (size_t i = 0; i < step_.feeds.size(); ++i) {
      if (step_.feeds[i].num_outputs == 0) continue;
      take_token(static_cast<Active&>(*step_.fed[i]), session_.logits(i));
      ++made;
    }
    const uint64_t took =
        elapsed_ns(begin) - (result_.switch_ns - switch_before);
    const uint64_t simulated = session_.times().simulated_ns - simulated_before;
    if (step_.has_prefill) {
      result_.prefill_ns += took;
      result_.prefill_simulated_ns += simulated;
    } else {
      result_.decode_simulated_ns += simulated;
      result_.decode_ns += took;
      const uint64_t host_ns =
          took - (session_.times().device_ns - device_before);
      result_.decode_host_ns += host_ns;
      step_host_ns_.push_back(host_ns);
      result_.decode_tokens += made;
      ++result_.decode_steps;
    }
    close_finished();
    return {};
  }

  // Chooses the next token of a sequence and decides whether it goes on.
  void take_token(Active& active, std::span<const float> logits) {
    Generation& generation = result_.generations[active.request];
    const int32_t token = active.sampler.sample(logits);
    active.last_token = token;
    if (std::find(eos_ids_.begin(), eos_ids_.end(), token) != eos_ids_.end()) {
      generation.reason = FinishReason::kEos;
      finished_.push_back(active.sequence);
      return;
    }
    generation.tokens.push_back(token);
    ++result_.new_tokens;
    const bool goes_on = !on_token_ || on_token_(active.request, token);
    const Request& request = requests_[active.request];
    if (!goes_on || generation.tokens.size() >= request.max_new_tokens) {
      generation.reason = FinishReason::kLength;
      finished_.push_back(active.sequence);
    } else if (session_.sequence_length(active.sequence) >=
               session_.options().max_context) {
      generation.reason = FinishReason::kContext;
      finished_.push_back(active.sequence);
    }
  }

  void close_finished() {
    for (const uint32_t sequence : finished_) {
      session_.close_sequence(sequence);
      std::erase_if(active_, [&](const Active& active) {
        return active.sequence == sequence;
      });
    }
    finished_.clear();
  }

  Session& session_;
  const std::vector<Request>& requests_;
  const std::vector<int32_t>& eos_ids_;
  const TokenCallback& on_token_;
  const Survival& survival_;
  GenerationResult result_;
  size_t next_request_ = 0;
  std::vector<Active> active_;
  std::vector<RunningSequence*> running_;
  StepFeeds step_;
  std::vector<uint32_t> finished_;
  std::vector<uint64_t> step_host_ns_;  // of each decode step
};

}  // namespace

Result<GenerationResult> generate(Session& session,
                                  const std::vector<Request>& requests,
                                  const std::vector<int32_t>& eos_ids,
                                  const TokenCallback& on_token,
                                  const Survival& survival) {
  Generator generator(session, requests, eos_ids, on_token, survival);
  TSR_RETURN_IF_ERROR(generator.check());
  TSR_RETURN_IF_ERROR(generator.run());
  return generator.take_result();
}

}  // namespace tessera
