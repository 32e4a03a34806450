// SPDX-License-Identifier: Apache-2.0

#include "framework/session/batcher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tessera::session {

namespace {

Status ended() { return {TSR_UNAVAILABLE, "the session ends"}; }

}  // namespace

Batcher::Batcher(std::unique_ptr<Session> session, std::vector<int32_t> eos_ids)
    : session_(std::move(session)), eos_ids_(std::move(eos_ids)) {
  worker_ = std::thread([this] { work(); });
}

Batcher::~Batcher() {
  stop();
  worker_.join();
}

void Batcher::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_over_ = true;
  }
  wanted_.notify_one();
}

Result<Generation> Batcher::run(
    const Request& request,
    const std::function<bool(int32_t token)>& on_token) {
  const size_t length = request.prompt.size();
  if (length == 0 || length > options().max_context) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("the prompt has {} tokens, the context holds {}",
                              length, options().max_context));
  }
  if (request.max_new_tokens == 0) return Generation();
  TSR_ASSIGN_OR_RETURN(
      Sampler sampler,
      Sampler::create(request.sampling, session_->graph().vocab_size));
  Job job{{0, request.prompt, 0, 0, std::move(sampler)},
          request.max_new_tokens,
          {},
          {},
          {},
          false,
          false,
          false};
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (is_over_) return ended();
    waiting_.push_back(&job);
  }
  wanted_.notify_one();
  Generation generation = follow(job, on_token);
  TSR_RETURN_IF_ERROR(job.status);
  return generation;
}

// Hands tokens on as they come, until the job is done; then no other thread
// knows it any more.
Generation Batcher::follow(Job& job,
                           const std::function<bool(int32_t token)>& on_token) {
  size_t given = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    job.changed.wait(lock, [&] {
      return job.is_done || job.generation.tokens.size() > given;
    });
    while (given < job.generation.tokens.size() && !job.is_cancelled) {
      const int32_t token = job.generation.tokens[given++];
      lock.unlock();
      const bool goes_on = !on_token || on_token(token);
      lock.lock();
      if (!goes_on) {
        job.is_cancelled = true;
        job.generation.tokens.resize(given);
      }
    }
    given = job.generation.tokens.size();
    if (job.is_done) return std::move(job.generation);
  }
}

void Batcher::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wanted_.wait(lock, [this] {
      return is_over_ || !waiting_.empty() || !active_.empty();
    });
    if (is_over_) {
      fail_all(ended());
      return;
    }
    drop_cancelled();
    admit();
    if (active_.empty()) continue;
    running_.clear();
    for (Job* const job : active_) running_.push_back(&job->running);
    collect_feeds(running_, session_->options().max_tokens, step_);
    lock.unlock();
    const Status status = session_->step(step_.feeds);
    lock.lock();
    take_tokens(status);
  }
}

// Gives free sequences to those that wait longest.
void Batcher::admit() {
  while (!waiting_.empty() && active_.size() < session_->options().max_seqs) {
    Job& job = *waiting_.front();
    waiting_.pop_front();
    const Result<uint32_t> sequence = session_->open_sequence();
    if (!sequence.ok()) {
      job.status = sequence.status();
      finish(job);
      continue;
    }
    job.running.sequence = *sequence;
    job.has_sequence = true;
    active_.push_back(&job);
  }
}

void Batcher::drop_cancelled() {
  const std::vector<Job*> active = active_;
  for (Job* const job : active) {
    if (job->is_cancelled) finish(*job);
  }
}

void Batcher::fail_all(const Status& status) {
  std::vector<Job*> jobs = active_;
  if (is_over_) jobs.insert(jobs.end(), waiting_.begin(), waiting_.end());
  for (Job* const job : jobs) {
    job->status = status;
    finish(*job);
  }
}

void Batcher::take_tokens(const Status& status) {
  if (!status.ok()) {
    fail_all(status);
    return;
  }
  for (size_t i = 0; i < step_.feeds.size(); ++i) {
    if (step_.feeds[i].num_outputs == 0) continue;
    RunningSequence* const fed = step_.fed[i];
    fed->last_token = fed->sampler.sample(session_->logits(i));
    const auto of = [fed](const Job* job) { return &job->running == fed; };
    take_token(**std::find_if(active_.begin(), active_.end(), of),
               fed->last_token);
  }
}

void Batcher::take_token(Job& job, int32_t token) {
  if (job.is_cancelled) return;
  Generation& generation = job.generation;
  if (std::find(eos_ids_.begin(), eos_ids_.end(), token) != eos_ids_.end()) {
    generation.reason = FinishReason::kEos;
    finish(job);
    return;
  }
  generation.tokens.push_back(token);
  if (generation.tokens.size() >= job.max_new_tokens) {
    finish(job);
  } else if (session_->sequence_length(job.running.sequence) >=
             session_->options().max_context) {
    generation.reason = FinishReason::kContext;
    finish(job);
  } else {
    job.changed.notify_one();
  }
}

// The caller may take its job away as soon as the mutex is free.
void Batcher::finish(Job& job) {
  if (job.has_sequence) session_->close_sequence(job.running.sequence);
  std::erase(active_, &job);
  std::erase(waiting_, &job);
  job.is_done = true;
  job.changed.notify_one();
}

}  // namespace tessera::session
