// SPDX-License-Identifier: Apache-2.0

#include "framework/eval/evaluate.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <thread>
#include <utility>

namespace tessera {
namespace {

// Closes a sequence when it goes out of scope.
class OpenSequence {
 public:
  OpenSequence(Session& session, uint32_t id) : session_(&session), id_(id) {}
  OpenSequence(OpenSequence&& other) noexcept
      : session_(std::exchange(other.session_, nullptr)), id_(other.id_) {}
  OpenSequence& operator=(OpenSequence&& other) noexcept {
    std::swap(session_, other.session_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~OpenSequence() {
    if (session_ != nullptr) session_->close_sequence(id_);
  }
  uint32_t id() const { return id_; }

 private:
  Session* session_;
  uint32_t id_;
};

Result<OpenSequence> open_sequence(Session& session) {
  TSR_ASSIGN_OR_RETURN(const uint32_t id, session.open_sequence());
  return OpenSequence(session, id);
}

Status visit_prefill(Session& session, const std::vector<Document>& documents,
                     const PositionVisitor& visit) {
  for (size_t d = 0; d < documents.size(); ++d) {
    TSR_ASSIGN_OR_RETURN(const OpenSequence sequence, open_sequence(session));
    const std::span<const int32_t> tokens(documents[d]);
    for (size_t at = 0; at < tokens.size();) {
      const size_t count =
          std::min<size_t>(session.options().max_tokens, tokens.size() - at);
      const Feed feed{sequence.id(), tokens.subspan(at, count), TSR_PREFILL,
                      static_cast<uint32_t>(count)};
      TSR_RETURN_IF_ERROR(session.step({&feed, 1}));
      for (uint32_t i = 0; i < count; ++i) {
        if (at + i + 1 < tokens.size()) visit(d, at + i, session.logits(0, i));
      }
      at += count;
    }
  }
  return {};
}

// A document on its way through decode steps.
struct Walk {
  size_t document;
  size_t position;
  OpenSequence sequence;
};

Status visit_decode(Session& session, const std::vector<Document>& documents,
                    const PositionVisitor& visit) {
  const size_t width =
      std::min({session.options().max_seqs, session.options().max_tokens,
                session.options().max_outputs});
  std::vector<Walk> walks;
  std::vector<Feed> feeds;
  size_t next = 0;
  while (true) {
    std::erase_if(walks, [&](const Walk& walk) {
      return walk.position + 1 >= documents[walk.document].size();
    });
    while (walks.size() < width && next < documents.size()) {
      TSR_ASSIGN_OR_RETURN(OpenSequence sequence, open_sequence(session));
      walks.push_back({next++, 0, std::move(sequence)});
    }
    if (walks.empty()) return {};
    feeds.clear();
    for (const Walk& walk : walks) {
      feeds.push_back({walk.sequence.id(),
                       {&documents[walk.document][walk.position], 1},
                       TSR_DECODE,
                       1});
    }
    TSR_RETURN_IF_ERROR(session.step(feeds));
    for (size_t i = 0; i < walks.size(); ++i) {
      visit(walks[i].document, walks[i].position++, session.logits(i));
    }
  }
}

size_t count_positions(const std::vector<Document>& documents) {
  size_t count = 0;
  for (const Document& document : documents) count += document.size() - 1;
  return count;
}

std::span<const float> row_of(std::span<const float> logits, size_t position,
                              size_t vocab_size) {
  return logits.subspan(position * vocab_size, vocab_size);
}

}  // namespace

Status visit_logits(Session& session, const std::vector<Document>& documents,
                    uint32_t phase, const PositionVisitor& visit) {
  return phase == TSR_DECODE ? visit_decode(session, documents, visit)
                             : visit_prefill(session, documents, visit);
}

ReferenceLogits::ReferenceLogits(const Oracle& oracle,
                                 const std::vector<Document>& documents,
                                 uint32_t phase, uint64_t max_bytes)
    : oracle_(oracle),
      documents_(documents),
      phase_(phase),
      max_bytes_(max_bytes),
      kept_(documents.size()) {}

Status ReferenceLogits::prepare(
    uint32_t num_threads, const std::function<void(double)>& on_progress) {
  std::atomic<size_t> next{0};
  std::atomic<uint64_t> bytes{0};
  std::mutex mutex;  // guards failure
  Status failure;
  const auto work = [&] {
    for (size_t d = next++; d < documents_.size(); d = next++) {
      if (bytes.load() >= max_bytes_) return;
      Result<std::vector<float>> logits = oracle_.logits(documents_[d], phase_);
      if (!logits.ok()) {
        const std::lock_guard<std::mutex> lock(mutex);
        failure = std::move(logits).status();
        return;
      }
      bytes += logits->size() * sizeof(float);
      kept_[d] = std::move(*logits);
      if (on_progress) {
        on_progress(static_cast<double>(d + 1) /
                    static_cast<double>(documents_.size()));
      }
    }
  };
  std::vector<std::thread> threads;
  for (uint32_t i = 1; i < num_threads; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return failure;
}

Result<std::span<const float>> ReferenceLogits::get(size_t document) {
  if (!kept_[document].empty()) {
    return std::span<const float>(kept_[document]);
  }
  if (current_ != document) {
    TSR_ASSIGN_OR_RETURN(scratch_,
                         oracle_.logits(documents_[document], phase_));
    current_ = document;
  }
  return std::span<const float>(scratch_);
}

Result<std::vector<DocumentScores>> score_documents(
    Session& session, const std::vector<Document>& documents, uint32_t phase,
    ReferenceLogits& reference,
    const std::function<void(double)>& on_progress) {
  const size_t vocab_size = session.graph().vocab_size;
  const auto total = static_cast<double>(count_positions(documents));
  std::vector<DocumentScores> scores(documents.size());
  Status failure;
  size_t done = 0;
  const Status visited = visit_logits(
      session, documents, phase,
      [&](size_t d, size_t position, std::span<const float> logits) {
        const Result<std::span<const float>> wanted = reference.get(d);
        if (!wanted.ok()) {
          failure = wanted.status();
          return;
        }
        scores[d].push_back(
            score_position(row_of(*wanted, position, vocab_size), logits,
                           documents[d][position + 1]));
        ++done;
        if (on_progress) on_progress(static_cast<double>(done) / total);
      });
  TSR_RETURN_IF_ERROR(visited);
  TSR_RETURN_IF_ERROR(failure);
  return scores;
}

Result<Agreement> measure_agreement(Session& session,
                                    const std::vector<Document>& documents,
                                    uint32_t phase, const Oracle& ascending,
                                    const Oracle& descending) {
  const size_t vocab_size = session.graph().vocab_size;
  ReferenceLogits first(ascending, documents, phase);
  ReferenceLogits second(descending, documents, phase);
  const uint32_t threads = std::max(1U, std::thread::hardware_concurrency());
  TSR_RETURN_IF_ERROR(first.prepare(threads, nullptr));
  TSR_RETURN_IF_ERROR(second.prepare(threads, nullptr));
  AgreementSums sums;
  Status failure;
  const Status visited = visit_logits(
      session, documents, phase,
      [&](size_t d, size_t position, std::span<const float> logits) {
        const auto a = first.get(d);
        const auto b = second.get(d);
        if (!a.ok() || !b.ok()) {
          failure = a.ok() ? b.status() : a.status();
          return;
        }
        const auto up = row_of(*a, position, vocab_size);
        sums.add({up, logits, up, row_of(*b, position, vocab_size)});
      });
  TSR_RETURN_IF_ERROR(visited);
  TSR_RETURN_IF_ERROR(failure);
  return sums.result();
}

}  // namespace tessera
