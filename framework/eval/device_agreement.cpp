// SPDX-License-Identifier: Apache-2.0

#include "framework/eval/device_agreement.hpp"

#include <algorithm>
#include <cmath>
#include <thread>

#include "framework/runtime/sampler.hpp"

namespace tessera {
namespace {

constexpr uint64_t kMaxKeptBytes = UINT64_C(512) << 20;

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

  Status run(const Oracle& ascending, const Oracle& descending,
             AgreementSums& sums) {
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
          sums.add({row(kept_[d], at), logits, row(*a, at), row(*b, at)});
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

}  // namespace

Result<Agreement> measure_device_agreement(
    Session& first, Session& second, const std::vector<Document>& documents,
    uint32_t phase, const Oracle& ascending, const Oracle& descending) {
  const uint64_t token_bytes =
      uint64_t{first.graph().vocab_size} * sizeof(float);
  AgreementSums sums;
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
  return sums.result();
}

}  // namespace tessera
