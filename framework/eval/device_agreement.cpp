// SPDX-License-Identifier: Apache-2.0

#include "framework/eval/device_agreement.hpp"

#include <algorithm>
#include <cmath>
#include <thread>

#include "framework/runtime/sampler.hpp"

namespace tessera {
namespace {

constexpr uint64_t kMaxKeptBytes = UINT64_C(512) << 20;

// What is added up over positions.
struct Sums {
  double kl = 0.0;
  double floor = 0.0;
  size_t count = 0;
  size_t decided = 0;
  size_t equal = 0;
};

// The logits of one position from everyone.
struct Position {
  std::span<const float> first;
  std::span<const float> second;
  std::span<const float> up;
  std::span<const float> down;
};

double largest_difference(std::span<const float> a, std::span<const float> b) {
  double largest = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(double{a[i]} - double{b[i]}));
  }
  return largest;
}

void add(const Position& position, Sums& sums) {
  sums.kl += kl_divergence(position.first, position.second);
  sums.floor += kl_divergence(position.up, position.down);
  ++sums.count;
  const double bound = 2.0 * largest_difference(position.up, position.down);
  if (double{top2_margin(position.up)} <= bound) return;
  ++sums.decided;
  sums.equal += argmax(position.first) == argmax(position.second) ? 1 : 0;
}

// Runs some documents on both devices.
class Batch {
 public:
  Batch(Session& first, Session& second, std::vector<Document> documents,
        uint32_t phase)
      : first_(first),
        second_(second),
        documents_(std::move(documents)),
        phase_(phase),
        vocab_size_(first.graph().vocab_size) {}

  Status run(const Oracle& ascending, const Oracle& descending, Sums& sums) {
    ReferenceLogits up(ascending, documents_, phase_);
    ReferenceLogits down(descending, documents_, phase_);
    const uint32_t threads = std::max(1U, std::thread::hardware_concurrency());
    TSR_RETURN_IF_ERROR(up.prepare(threads, nullptr));
    TSR_RETURN_IF_ERROR(down.prepare(threads, nullptr));
    TSR_RETURN_IF_ERROR(keep_first());
    Status failure;
    const Status visited = visit_logits(
        second_, documents_, phase_,
        [&](size_t d, size_t at, std::span<const float> logits) {
          const auto a = up.get(d);
          const auto b = down.get(d);
          if (!a.ok() || !b.ok()) {
            failure = a.ok() ? b.status() : a.status();
            return;
          }
          add({row(kept_[d], at), logits, row(*a, at), row(*b, at)}, sums);
        });
    TSR_RETURN_IF_ERROR(visited);
    return failure;
  }

 private:
  Status keep_first() {
    for (const Document& document : documents_) {
      kept_.emplace_back(document.size() * vocab_size_);
    }
    return visit_logits(first_, documents_, phase_,
                        [&](size_t d, size_t at, std::span<const float> x) {
                          std::copy(x.begin(), x.end(),
                                    kept_[d].data() + at * vocab_size_);
                        });
  }

  std::span<const float> row(std::span<const float> logits, size_t at) const {
    return logits.subspan(at * vocab_size_, vocab_size_);
  }

  Session& first_;
  Session& second_;
  std::vector<Document> documents_;
  uint32_t phase_;
  size_t vocab_size_;
  std::vector<std::vector<float>> kept_;  // of first_, by document
};

Agreement agreement_of(const Sums& sums) {
  const auto count = static_cast<double>(std::max<size_t>(sums.count, 1));
  const auto decided = static_cast<double>(std::max<size_t>(sums.decided, 1));
  Agreement agreement;
  agreement.kl_between = sums.kl / count;
  agreement.kl_order_floor = sums.floor / count;
  agreement.decided_share = static_cast<double>(sums.decided) / count;
  agreement.argmax_agreement = static_cast<double>(sums.equal) / decided;
  return agreement;
}

}  // namespace

Result<Agreement> measure_device_agreement(
    Session& first, Session& second, const std::vector<Document>& documents,
    uint32_t phase, const Oracle& ascending, const Oracle& descending) {
  const uint64_t token_bytes =
      uint64_t{first.graph().vocab_size} * sizeof(float);
  Sums sums;
  for (size_t begin = 0; begin < documents.size();) {
    std::vector<Document> some;
    uint64_t bytes = 0;
    do {
      bytes += documents[begin].size() * token_bytes;
      some.push_back(documents[begin++]);
    } while (begin < documents.size() &&
             bytes + documents[begin].size() * token_bytes <= kMaxKeptBytes);
    TSR_RETURN_IF_ERROR(Batch(first, second, std::move(some), phase)
                            .run(ascending, descending, sums));
  }
  return agreement_of(sums);
}

}  // namespace tessera
