// SPDX-License-Identifier: Apache-2.0
//
// Level 1, attention: mixed batches over scattered blocks, every mask, KV type,
// head ratio and block size that a row claims, long contexts.

#include <algorithm>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/numerics/attention_trial.hpp"

namespace tessera::conformance {
namespace {

class AttentionPlanner {
 public:
  AttentionPlanner(const Claim& claim, const tsr_kernel_desc& row,
                   const CaseOptions& options, CaseList& cases)
      : claim_(claim), row_(row), options_(options), cases_(cases) {
    base_.dtype = values_in(row.x_dtypes & row.y_dtypes).front();
    base_.kv_format = values_in(row.kv_formats).front();
    base_.mask = values_in(row.masks).front();
    base_.head_dim = fit(row.head_dim, 32);
    base_.ratio = fit(row.gqa_ratio, 2);
    base_.block_size = fit(row.block_size, 16);
    base_.seed = options.seed;
  }

  void add_all() {
    for (const uint32_t format : values_in(row_.kv_formats)) {
      for (const uint32_t mask : values_in(row_.masks)) {
        change([&](AttentionSpec& spec) {
          spec.kv_format = format;
          spec.mask = mask;
        });
      }
      if (options_.quick) continue;
      for (const Batch batch :
           {Batch::kDecode, Batch::kPrefill, Batch::kChunk, Batch::kLong}) {
        change([&](AttentionSpec& spec) {
          spec.kv_format = format;
          spec.batch = batch;
        });
      }
      for (const uint32_t dtype : values_in(row_.x_dtypes & row_.y_dtypes)) {
        change([&](AttentionSpec& spec) {
          spec.kv_format = format;
          spec.dtype = dtype;
        });
      }
    }
    add_shapes();
    add_outside();
  }

 private:
  template <typename Edit>
  void change(const Edit& edit) {
    AttentionSpec spec = base_;
    edit(spec);
    Candidate one;
    one.what = spec.text();
    one.op = "attention";
    one.make = [spec](const tsr_kernel_desc* row) {
      return make_attention(spec, row);
    };
    one.M = 1;
    one.phase = spec.batch == Batch::kPrefill ? TSR_PREFILL : TSR_DECODE;
    add_candidate(claim_, one, cases_);
  }

  void add_shapes() {
    for (const uint32_t dim : {16U, 20U, 64U, 80U, 128U}) {
      if (options_.quick && dim > 64) continue;
      change([&](AttentionSpec& spec) {
        spec.head_dim = fit(row_.head_dim, dim);
      });
    }
    for (const uint32_t ratio : {1U, 3U, 4U, 8U}) {
      change([&](AttentionSpec& spec) {
        spec.ratio = fit(row_.gqa_ratio, ratio);
      });
    }
    for (const uint32_t size : {1U, 8U, 13U, 32U}) {
      change([&](AttentionSpec& spec) {
        spec.block_size = fit(row_.block_size, size);
      });
    }
    change([](AttentionSpec& spec) { spec.as_views = true; });
    change([](AttentionSpec& spec) { spec.scale_factor = 0.625f; });
    change([](AttentionSpec& spec) {
      spec.mask = TSR_MASK_SLIDING;
      spec.window = 1;
      spec.batch = Batch::kChunk;
    });
    if (!options_.quick) return;
    for (const Batch batch : {Batch::kDecode, Batch::kChunk, Batch::kLong}) {
      change([&](AttentionSpec& spec) { spec.batch = batch; });
    }
  }

  void add_outside() {
    for (const uint32_t format :
         {TSR_KV_F32, TSR_KV_F16, TSR_KV_BF16, TSR_KV_I8_TOKEN,
          TSR_KV_I8_CHANNEL, TSR_KV_I8_HEAD}) {
      change([&](AttentionSpec& spec) { spec.kv_format = format; });
    }
    for (const uint32_t mask :
         {TSR_MASK_CAUSAL, TSR_MASK_FULL, TSR_MASK_SLIDING}) {
      change([&](AttentionSpec& spec) { spec.mask = mask; });
    }
    for (const uint32_t dtype : {TSR_F32, TSR_F16, TSR_BF16}) {
      change([&](AttentionSpec& spec) { spec.dtype = dtype; });
    }
    if (row_.head_dim.max != 0 && row_.head_dim.max < 4096) {
      change([&](AttentionSpec& spec) {
        spec.head_dim =
            row_.head_dim.max + std::max(row_.head_dim.multiple, 1U);
      });
    }
    if (row_.head_dim.multiple > 1) {
      change([](AttentionSpec& spec) { ++spec.head_dim; });
    }
    if (row_.gqa_ratio.max != 0 && row_.gqa_ratio.max < 64) {
      change([&](AttentionSpec& spec) { spec.ratio = row_.gqa_ratio.max + 1; });
    }
    if (row_.block_size.multiple > 1) {
      change([](AttentionSpec& spec) { ++spec.block_size; });
    }
  }

  const Claim& claim_;
  const tsr_kernel_desc& row_;
  const CaseOptions& options_;
  CaseList& cases_;
  AttentionSpec base_;
};

}  // namespace

void add_attention_cases(const Claim& claim, const CaseOptions& options,
                         CaseList& cases) {
  for (const tsr_kernel_desc& row : claim.rows()) {
    const bool runs = (row.x_dtypes & row.y_dtypes) != 0 &&
                      row.kv_formats != 0 && row.masks != 0;
    if (row.op == TSR_OP_ATTENTION && runs) {
      AttentionPlanner(claim, row, options, cases).add_all();
    }
  }
}

}  // namespace tessera::conformance
