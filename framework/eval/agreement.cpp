// SPDX-License-Identifier: Apache-2.0

#include "framework/eval/agreement.hpp"

#include <algorithm>
#include <cmath>

#include "framework/eval/metrics.hpp"
#include "framework/runtime/sampler.hpp"

namespace tessera {
namespace {

double largest_difference(std::span<const float> a, std::span<const float> b) {
  double largest = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(double{a[i]} - double{b[i]}));
  }
  return largest;
}

}  // namespace

bool Agreement::agrees() const {
  return kl_between <= 2.0 * kl_order_floor && argmax_agreement == 1.0;
}

void AgreementSums::add(const AgreementPosition& position) {
  kl_between_ += kl_divergence(position.first, position.second);
  kl_order_ += kl_divergence(position.ascending, position.descending);
  largest_difference_ =
      std::max(largest_difference_,
               largest_difference(position.ascending, position.descending));
  choices_.push_back({top2_margin(position.ascending),
                      argmax(position.first) == argmax(position.second)});
}

Agreement AgreementSums::result() const {
  size_t decided = 0;
  size_t same = 0;
  for (const Choice& choice : choices_) {
    if (choice.margin <= 2.0 * largest_difference_) continue;
    ++decided;
    same += choice.same ? 1 : 0;
  }
  const auto count = static_cast<double>(std::max<size_t>(choices_.size(), 1));
  Agreement agreement;
  agreement.kl_between = kl_between_ / count;
  agreement.kl_order_floor = kl_order_ / count;
  agreement.decided_share = static_cast<double>(decided) / count;
  agreement.argmax_agreement =
      decided == 0 ? 1.0
                   : static_cast<double>(same) / static_cast<double>(decided);
  return agreement;
}

}  // namespace tessera
