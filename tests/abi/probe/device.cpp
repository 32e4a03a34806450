// SPDX-License-Identifier: Apache-2.0

#include "tests/abi/probe/device.hpp"

#include "tests/abi/probe/program.hpp"

namespace tessera::probe {
namespace {

tsr_kernel_desc make_row(uint32_t op, const char* name) {
  tsr_kernel_desc row{};
  row.struct_size = sizeof(row);
  row.op = op;
  row.name = name;
  row.phases = TSR_PREFILL | TSR_DECODE;
  row.determinism = TSR_DETERMINISM_RUN;
  row.error_class = TSR_ERROR_DOT;
  row.x_dtypes = 1U << TSR_F32;
  row.y_dtypes = 1U << TSR_F32;
  row.accumulator = TSR_F32;
#if TSR_ABI_MINOR >= 1
  row.next_minor = kNextMinor;
#endif
  return row;
}

tsr_kernel_desc linear_row() {
  tsr_kernel_desc row = make_row(TSR_OP_LINEAR, "linear_f32_f32__scalar");
  row.act_quants = 1U << TSR_ACT_FLOAT;
  row.weight_format = TSR_WEIGHT_F32;
  row.layout = kTransposed;
  return row;
}

#if TSR_ABI_MINOR >= 1
// A row in which almost every value is new to a host of version 1.0.
tsr_kernel_desc next_minor_row() {
  tsr_kernel_desc row = make_row(TSR_OP_NEXT_MINOR, "next_minor__scalar");
  row.determinism = TSR_DETERMINISM_NEXT_MINOR;
  row.error_class = TSR_ERROR_NEXT_MINOR;
  row.x_dtypes = 1U << TSR_DTYPE_NEXT_MINOR;
  row.weight_format = TSR_WEIGHT_NEXT_MINOR;
  return row;
}
#endif

// The program holds weights and pools by id; `check` wants their descriptors.
std::vector<tsr_weight_desc> describe_weights(const sdk::ProgramView& program,
                                              const ProbeDevice& device) {
  std::vector<tsr_weight_desc> descs;
  for (const uint64_t id : program.weights()) {
    const auto weight = device.weight(id);
    tsr_weight_desc desc{};
    desc.struct_size = sizeof(desc);
    desc.format = TSR_WEIGHT_F32;
    desc.N = weight->N;
    desc.K = weight->K;
    descs.push_back(desc);
  }
  return descs;
}

class TransposedPacking final : public sdk::Packing {
 public:
  TransposedPacking(const tsr_weight_desc& desc, float* out,
                    std::shared_ptr<Weight> weight,
                    sdk::IdTable<Weight>& weights, uint64_t id)
      : out_(out), weight_(std::move(weight)), weights_(weights), id_(id) {
    weight_->N = desc.N;
    weight_->K = desc.K;
    weight_->transposed = out;
  }

  void slice(uint32_t n_begin, uint32_t n_end,
             const tsr_weight_desc& slice) override {
    const tsr_plane codes = sdk::Elements<tsr_plane>(slice.planes)[0];
    for (uint32_t n = n_begin; n < n_end; ++n) {
      const auto* row =
          reinterpret_cast<const float*>(static_cast<const char*>(codes.data) +
                                         (n - n_begin) * codes.row_bytes);
      for (uint64_t k = 0; k < weight_->K; ++k) {
        out_[k * weight_->N + n] = row[k];
      }
    }
    packed_ += n_end - n_begin;
  }
  void commit() override {
    if (packed_ != weight_->N) {
      throw sdk::Error(TSR_FAILED_PRECONDITION,
                       "packed " + std::to_string(packed_) + " rows of " +
                           std::to_string(weight_->N));
    }
    weights_.insert(id_, weight_);
  }

 private:
  float* out_;
  std::shared_ptr<Weight> weight_;
  sdk::IdTable<Weight>& weights_;
  uint64_t id_;
  std::atomic<uint32_t> packed_{0};
};

uint64_t weight_bytes(const tsr_weight_desc& desc) {
  if (desc.format != TSR_WEIGHT_F32) {
    throw sdk::Error(TSR_UNIMPLEMENTED,
                     "weight format " + std::to_string(desc.format));
  }
  return uint64_t{desc.N} * desc.K * sizeof(float);
}

}  // namespace

tsr_array kernel_table() {
  static const tsr_kernel_desc rows[] = {
#if TSR_ABI_MINOR >= 1
    next_minor_row(),
#endif
    make_row(TSR_OP_ADD, "add_f32__scalar"),
    linear_row(),
  };
  return {rows, sizeof(rows) / sizeof(rows[0]), sizeof(rows[0])};
}

bool ProbeDevice::understands(const std::string& extension) const {
  return extension == "dev.tessera.probe";
}

std::vector<tsr_refusal> ProbeDevice::check(
    const sdk::ProgramQuestion& question) {
  return sdk::check_against(kernel_table(), question);
}

tsr_estimate ProbeDevice::estimate(const sdk::ProgramQuestion& question,
                                   const tsr_step_shape& step) {
  tsr_estimate estimate{};
  estimate.struct_size = sizeof(estimate);
  estimate.source = TSR_COST_ROOFLINE;
  estimate.clock = TSR_CLOCK_WALL;
  estimate.mean_ns = 1000 * question.program.ops().size() + step.num_tokens;
  estimate.p90_ns = 2 * estimate.mean_ns;
  estimate.workspace_bytes = 4096 + step.phase;
  return estimate;
}

tsr_packed_info ProbeDevice::weight_query(const tsr_weight_desc& desc) {
  tsr_packed_info info{};
  info.struct_size = sizeof(info);
  info.bytes = weight_bytes(desc);
  info.layout = kTransposed;
  info.layout_version = 1;
  info.alignment = kAlignment;
  info.n_multiple = 1;
  info.keeps_raw = 0;
#if TSR_ABI_MINOR >= 1
  info.next_minor = desc.next_minor;
#endif
  return info;
}

std::unique_ptr<sdk::Packing> ProbeDevice::packing_begin(
    uint64_t weight, const tsr_weight_desc& desc, uint64_t buffer,
    uint64_t offset) {
  auto* out = reinterpret_cast<float*>(
      this->buffer(buffer)->at(offset, weight_bytes(desc)));
  return std::make_unique<TransposedPacking>(
      desc, out, std::make_shared<Weight>(), weights_, weight);
}

void ProbeDevice::weight_create(uint64_t weight, const tsr_weight_desc& desc,
                                uint64_t buffer, uint64_t offset) {
  const auto* packed = reinterpret_cast<const float*>(
      this->buffer(buffer)->at(offset, weight_bytes(desc)));
  weights_.insert(weight,
                  std::make_shared<Weight>(Weight{desc.N, desc.K, packed}));
}

tsr_kv_info ProbeDevice::kv_query(const tsr_kv_desc& desc) {
  if (desc.format != TSR_KV_F32) {
    throw sdk::Error(TSR_UNIMPLEMENTED,
                     "kv format " + std::to_string(desc.format));
  }
  tsr_kv_info info{};
  info.struct_size = sizeof(info);
  info.block_bytes = uint64_t{2} * desc.num_kv_heads * desc.block_size *
                     desc.head_dim * sizeof(float);
  info.alignment = kAlignment;
  info.reserved = 0;
  return info;
}

void ProbeDevice::kv_create(uint64_t pool, const tsr_kv_desc& desc,
                            uint64_t buffer, uint64_t offset) {
  const uint64_t block_bytes = kv_query(desc).block_bytes;
  char* memory =
      this->buffer(buffer)->at(offset, block_bytes * desc.num_blocks);
  pools_.insert(
      pool, std::make_shared<Pool>(Pool{desc.num_blocks, block_bytes, memory}));
}

void ProbeDevice::copy_blocks(const sdk::SubmissionView& submission) const {
  const auto pool = pools_.find(submission.value().src);
  const auto blocks = submission.blocks();
  for (uint32_t i = 0; i < blocks.size(); ++i) {
    const tsr_block_pair pair = blocks[i];
    if (std::max(pair.src, pair.dst) >= pool->num_blocks) {
      throw sdk::Error(TSR_INVALID_ARGUMENT,
                       "block " + std::to_string(std::max(pair.src, pair.dst)) +
                           " of a pool of " + std::to_string(pool->num_blocks));
    }
    std::memmove(pool->memory + pair.dst * pool->block_bytes,
                 pool->memory + pair.src * pool->block_bytes,
                 pool->block_bytes);
  }
}

tsr_program_info ProbeDevice::program_create(const sdk::ProgramView& program) {
  const auto refusals = check({program, describe_weights(program, *this), {}});
  if (!refusals.empty()) {
    throw sdk::Error(TSR_UNIMPLEMENTED, refusals.front().message);
  }
  auto compiled = std::make_shared<Program>(program, *this);
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  info.num_segments = static_cast<uint32_t>(compiled->segments().size());
  info.workspace_bytes = compiled->workspace_bytes();
  programs_.insert(program.desc().id, std::move(compiled));
  return info;
}

tsr_segment ProbeDevice::program_segment(uint64_t program, uint32_t index) {
  const auto compiled = programs_.find(program);
  const std::vector<tsr_segment>& segments = compiled->segments();
  if (index < segments.size()) return segments[index];
  throw sdk::Error(TSR_INVALID_ARGUMENT, "segment " + std::to_string(index) +
                                             " of " +
                                             std::to_string(segments.size()));
}

std::unique_ptr<sdk::Queue> ProbeDevice::queue_create() {
  return std::make_unique<ProbeQueue>(*this);
}

void ProbeDevice::record_profile(uint64_t program, uint32_t num_ops) {
  tsr_kernel_record record{};
  record.struct_size = sizeof(record);
  record.num_ops = num_ops;
  record.clock = TSR_CLOCK_WALL;
  record.program = program;
  record.begin_ns = 10;
  record.end_ns = 20;
  std::snprintf(record.kernel, sizeof(record.kernel), "program");
  const std::lock_guard<std::mutex> lock(profile_mutex_);
  profile_.push_back(record);
}

std::vector<tsr_kernel_record> ProbeDevice::profile_read(uint32_t capacity) {
  const std::lock_guard<std::mutex> lock(profile_mutex_);
  const auto count =
      static_cast<ptrdiff_t>(std::min<size_t>(capacity, profile_.size()));
  std::vector<tsr_kernel_record> records(profile_.begin(),
                                         profile_.begin() + count);
  profile_.erase(profile_.begin(), profile_.begin() + count);
  return records;
}

}  // namespace tessera::probe
