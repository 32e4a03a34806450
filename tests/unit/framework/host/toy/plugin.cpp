// SPDX-License-Identifier: Apache-2.0
//
// The smallest plugin that uses the whole table: linears over I8 weights, in
// plain loops.  Its first device packs weights, its second reads them in place,
// its third is broken.

#include "tessera/plugin.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tessera/host_memory.hpp"

namespace {

using tessera::sdk::Error;

// W[N, K] = scale[N] * codes[N, K], and what x is multiplied by.
struct ToyWeight {
  uint32_t N = 0;
  uint32_t K = 0;
  const char* codes = nullptr;   // I8 [N, K]
  const char* scales = nullptr;  // F32 [N, 1]
  std::vector<float> multipliers;
};

uint64_t codes_bytes(const tsr_weight_desc& desc) {
  return (uint64_t{desc.N} * desc.K + 63) / 64 * 64;
}

tsr_plane find_plane(const tsr_weight_desc& desc, uint32_t role) {
  for (const auto& plane :
       tessera::sdk::Elements<tsr_plane>(desc.planes).all()) {
    if (plane.role == role) return plane;
  }
  return {};
}

std::shared_ptr<ToyWeight> describe(const tsr_weight_desc& desc) {
  auto weight = std::make_shared<ToyWeight>();
  weight->N = desc.N;
  weight->K = desc.K;
  const tsr_plane plane = find_plane(desc, TSR_PLANE_INPUT_MULTIPLIER);
  weight->multipliers.assign(desc.K, 1.0f);
  if (plane.data != nullptr) {
    std::memcpy(weight->multipliers.data(), plane.data, desc.K * sizeof(float));
  }
  return weight;
}

class ToyDevice final : public tessera::sdk::HostMemoryDevice {
 public:
  ToyDevice(const tsr_host_services& host, bool packs, bool dies)
      : HostMemoryDevice(host), packs_(packs), dies_(dies) {}

  std::vector<tsr_refusal> check(
      const tessera::sdk::ProgramQuestion& question) override;
  tsr_packed_info weight_query(const tsr_weight_desc& desc) override;
  std::unique_ptr<tessera::sdk::Packing> packing_begin(
      uint64_t weight, const tsr_weight_desc& desc, uint64_t buffer,
      uint64_t offset) override;
  void weight_create(uint64_t weight, const tsr_weight_desc& desc,
                     uint64_t buffer, uint64_t offset) override;
  void weight_destroy(uint64_t weight) override { weights_.erase(weight); }
  tsr_kv_info kv_query(const tsr_kv_desc& desc) override;
  void kv_create(uint64_t, const tsr_kv_desc&, uint64_t, uint64_t) override {}
  tsr_program_info program_create(
      const tessera::sdk::ProgramView& view) override;
  tsr_segment program_segment(uint64_t program, uint32_t index) override;
  void program_destroy(uint64_t program) override { programs_.erase(program); }
  std::unique_ptr<tessera::sdk::Queue> queue_create() override;

  struct Program {
    tsr_program_desc desc;
    std::vector<tsr_op_linear> ops;
    std::vector<uint64_t> weights;
    std::vector<tsr_binding> bindings;
  };
  void add_weight(uint64_t id, std::shared_ptr<ToyWeight> weight) {
    weights_.insert(id, std::move(weight));
  }
  std::shared_ptr<Program> program(uint64_t id) { return programs_.find(id); }
  std::shared_ptr<ToyWeight> weight(uint64_t id) { return weights_.find(id); }
  bool dies() const { return dies_; }

 private:
  bool packs_;
  bool dies_;
  tessera::sdk::IdTable<ToyWeight> weights_{"weight"};
  tessera::sdk::IdTable<Program> programs_{"program"};
};

class ToyPacking final : public tessera::sdk::Packing {
 public:
  ToyPacking(ToyDevice& device, uint64_t id, const tsr_weight_desc& desc,
             char* memory)
      : device_(device), id_(id), weight_(describe(desc)), memory_(memory) {
    weight_->codes = memory;
    weight_->scales = memory + codes_bytes(desc);
  }

  void slice(uint32_t n_begin, uint32_t n_end,
             const tsr_weight_desc& slice) override {
    const tsr_plane codes = find_plane(slice, TSR_PLANE_CODES);
    const tsr_plane scales = find_plane(slice, TSR_PLANE_SCALE);
    const uint32_t rows = n_end - n_begin;
    if (slice.N != rows || codes.rows != rows || scales.rows != rows) {
      throw Error(TSR_INVALID_ARGUMENT, "slice and rows differ");
    }
    std::memcpy(memory_ + uint64_t{n_begin} * weight_->K, codes.data,
                uint64_t{rows} * weight_->K);
    std::memcpy(memory_ + (weight_->scales - weight_->codes) +
                    uint64_t{n_begin} * sizeof(float),
                scales.data, rows * sizeof(float));
    rows_ += rows;
  }
  void commit() override {
    if (rows_ != weight_->N) {
      throw Error(TSR_FAILED_PRECONDITION, "rows are missing");
    }
    device_.add_weight(id_, weight_);
  }

 private:
  ToyDevice& device_;
  uint64_t id_;
  std::shared_ptr<ToyWeight> weight_;
  char* memory_;
  std::atomic<uint32_t> rows_{0};
};

class ToyQueue final : public tessera::sdk::BlockingQueue {
 public:
  explicit ToyQueue(ToyDevice& device)
      : BlockingQueue(device), device_(device) {}

 protected:
  void run(const tessera::sdk::SubmissionView& submission) override {
    const tsr_submission& step = submission.value();
    if (device_.dies()) std::abort();
    if (step.kind == TSR_SUBMIT_COPY) return run_copy(step);
    const auto program = device_.program(step.program);
    tessera::sdk::check_step(program->desc, step);
    for (const tsr_op_linear& op : program->ops) {
      run_linear(*program, submission, op);
    }
  }

 private:
  float* find_tensor(const ToyDevice::Program& program,
                     const tessera::sdk::SubmissionView& submission,
                     uint32_t id, uint64_t bytes) {
    for (uint32_t i = 0; i < submission.bindings().size(); ++i) {
      const tsr_binding binding = submission.bindings()[i];
      if (binding.tensor == id) return place(binding, bytes);
    }
    for (const tsr_binding& binding : program.bindings) {
      if (binding.tensor == id) return place(binding, bytes);
    }
    throw Error(TSR_INVALID_ARGUMENT, "a tensor is not bound");
  }
  float* place(const tsr_binding& binding, uint64_t bytes) {
    return reinterpret_cast<float*>(
        device_.buffer(binding.buffer)->at(binding.offset, bytes));
  }

  void run_linear(const ToyDevice::Program& program,
                  const tessera::sdk::SubmissionView& submission,
                  const tsr_op_linear& op) {
    struct Work {
      const ToyWeight* weight;
      const float* x;
      float* y;
      uint32_t M;
    };
    const auto weight = device_.weight(program.weights.at(op.weight));
    const uint32_t M = submission.value().num_tokens;
    Work work{weight.get(),
              find_tensor(program, submission, op.x,
                          uint64_t{M} * weight->K * sizeof(float)),
              find_tensor(program, submission, op.y,
                          uint64_t{M} * weight->N * sizeof(float)),
              M};
    const auto column = [](void* context, uint32_t n) {
      const Work& w = *static_cast<Work*>(context);
      float scale = 0.0f;
      std::memcpy(&scale, w.weight->scales + n * sizeof(float), sizeof(scale));
      for (uint32_t m = 0; m < w.M; ++m) {
        float sum = 0.0f;
        for (uint32_t k = 0; k < w.weight->K; ++k) {
          const auto code = static_cast<signed char>(
              w.weight->codes[uint64_t{n} * w.weight->K + k]);
          sum += w.x[uint64_t{m} * w.weight->K + k] * w.weight->multipliers[k] *
                 static_cast<float>(code);
        }
        w.y[uint64_t{m} * w.weight->N + n] = sum * scale;
      }
    };
    const tsr_host_services& host = device_.host();
    host.parallel_for(host.host, weight->N, column, &work);
  }

  ToyDevice& device_;
};

std::vector<tsr_refusal> ToyDevice::check(
    const tessera::sdk::ProgramQuestion& question) {
  std::vector<tsr_refusal> refusals;
  for (uint32_t i = 0; i < question.program.ops().size(); ++i) {
    const tessera::sdk::OpRecord& op = question.program.ops()[i];
    tsr_refusal refusal{};
    refusal.struct_size = sizeof(refusal);
    refusal.op = i;
    if (op.kind() != TSR_OP_LINEAR) {
      refusal.reason = TSR_REFUSED_OP;
      std::snprintf(refusal.message, sizeof(refusal.message), "only linears");
      refusals.push_back(refusal);
      continue;
    }
    const auto& weight = question.weights.at(op.as<tsr_op_linear>().weight);
    if (weight.format == TSR_WEIGHT_I8) continue;
    refusal.reason = TSR_REFUSED_FORMAT;
    refusal.value = weight.format;
    refusal.nearest = TSR_WEIGHT_I8;
    std::snprintf(refusal.message, sizeof(refusal.message), "only i8");
    refusals.push_back(refusal);
  }
  return refusals;
}

tsr_packed_info ToyDevice::weight_query(const tsr_weight_desc& desc) {
  if (desc.format != TSR_WEIGHT_I8) {
    throw Error(TSR_UNIMPLEMENTED, "only i8 weights");
  }
  tsr_packed_info info{};
  info.struct_size = sizeof(info);
  info.n_multiple = 4;
  info.alignment = kAlignment;
  if (!packs_) return info;
  info.bytes = codes_bytes(desc) + desc.N * sizeof(float);
  info.layout = 7;
  return info;
}

std::unique_ptr<tessera::sdk::Packing> ToyDevice::packing_begin(
    uint64_t weight, const tsr_weight_desc& desc, uint64_t buffer_id,
    uint64_t offset) {
  char* memory =
      buffer(buffer_id)->at(offset, codes_bytes(desc) + desc.N * sizeof(float));
  return std::make_unique<ToyPacking>(*this, weight, desc, memory);
}

void ToyDevice::weight_create(uint64_t id, const tsr_weight_desc& desc,
                              uint64_t buffer, uint64_t) {
  if (packs_ || buffer != 0) {
    throw Error(TSR_UNIMPLEMENTED, "packs are made by packing");
  }
  auto weight = describe(desc);
  weight->codes =
      static_cast<const char*>(find_plane(desc, TSR_PLANE_CODES).data);
  weight->scales =
      static_cast<const char*>(find_plane(desc, TSR_PLANE_SCALE).data);
  add_weight(id, std::move(weight));
}

tsr_kv_info ToyDevice::kv_query(const tsr_kv_desc& desc) {
  tsr_kv_info info{};
  info.struct_size = sizeof(info);
  info.block_bytes = 2 * sizeof(float) * desc.num_kv_heads * desc.block_size *
                     uint64_t{desc.head_dim};
  info.alignment = kAlignment;
  return info;
}

tsr_program_info ToyDevice::program_create(
    const tessera::sdk::ProgramView& view) {
  auto program = std::make_shared<Program>();
  program->desc = view.desc();
  program->weights = view.weights();
  program->bindings = view.bindings();
  for (const tessera::sdk::OpRecord& op : view.ops()) {
    if (op.kind() != TSR_OP_LINEAR) {
      throw Error(TSR_UNIMPLEMENTED, "only linears");
    }
    program->ops.push_back(op.as<tsr_op_linear>());
  }
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  info.num_segments = static_cast<uint32_t>(program->ops.size());
  info.workspace_bytes = 64;
  programs_.insert(view.desc().id, std::move(program));
  return info;
}

tsr_segment ToyDevice::program_segment(uint64_t program, uint32_t index) {
  if (index >= programs_.find(program)->ops.size()) {
    throw Error(TSR_INVALID_ARGUMENT, "no such segment");
  }
  tsr_segment segment{};
  segment.struct_size = sizeof(segment);
  segment.first_op = index;
  segment.num_ops = 1;
  std::snprintf(segment.kernel, sizeof(segment.kernel), "linear_f32_i8c");
  return segment;
}

std::unique_ptr<tessera::sdk::Queue> ToyDevice::queue_create() {
  return std::make_unique<ToyQueue>(*this);
}

constexpr tsr_memory_kind kMemory = {
    sizeof(tsr_memory_kind),
    TSR_MEMORY_DEVICE | TSR_MEMORY_HOST_VISIBLE | TSR_MEMORY_COHERENT |
        TSR_MEMORY_IMPORT_HOST,
    0,
    UINT64_MAX,
    tessera::sdk::HostMemoryDevice::kAlignment,
    TSR_HANDLE_HOST_POINTER};

constexpr tsr_option kOptions[] = {{sizeof(tsr_option), TSR_OPTION_BOOLEAN,
                                    "die", "0",
                                    "end the process in the first submission"}};

tsr_kernel_desc kernel() {
  static const tsr_plane_rule rules[] = {{sizeof(tsr_plane_rule),
                                          TSR_PLANE_SCALE,
                                          1u << TSR_F32,
                                          1,
                                          {1, 1, 1},
                                          {TSR_WHOLE, TSR_WHOLE, 0}},
                                         {sizeof(tsr_plane_rule),
                                          TSR_PLANE_INPUT_MULTIPLIER,
                                          1u << TSR_F32,
                                          0,
                                          {0, 0, 0},
                                          {0, 0, 0}}};
  tsr_kernel_desc row{};
  row.struct_size = sizeof(row);
  row.op = TSR_OP_LINEAR;
  row.name = "linear_f32_i8c";
  row.phases = TSR_PREFILL | TSR_DECODE;
  row.determinism = TSR_DETERMINISM_RUN;
  row.error_class = TSR_ERROR_DOT;
  row.x_dtypes = 1u << TSR_F32;
  row.y_dtypes = 1u << TSR_F32;
  row.accumulator = TSR_F32;
  row.act_quants = 1u << TSR_ACT_FLOAT;
  row.weight_format = TSR_WEIGHT_I8;
  row.planes = {rules, 2, sizeof(tsr_plane_rule)};
  return row;
}

class ToyBackend {
 public:
  static const char* name() { return "toy"; }
  static const char* version() { return "0.1"; }
  static uint32_t device_count() { return 3; }
  static tsr_device_info device_info(uint32_t index) {
    tsr_device_info info{};
    info.struct_size = sizeof(info);
    info.flags = TSR_DEVICE_SUBMIT_BLOCKS;
    info.clock = TSR_CLOCK_WALL;
    std::snprintf(info.name, sizeof(info.name), "toy device %u", index);
    info.numa_node = -1;
    info.max_queues = 1;
    info.memory_kinds = {&kMemory, 1, sizeof(kMemory)};
    info.options = {kOptions, 1, sizeof(tsr_option)};
    if (index == 1) std::snprintf(info.profile, sizeof(info.profile), "raw");
    if (index == 2) {
      info.health = TSR_UNAVAILABLE;
      std::snprintf(info.reason, sizeof(info.reason), "no toy in slot 2");
    }
    return info;
  }
  static tsr_array device_kernels(uint32_t) {
    static const tsr_kernel_desc row = kernel();
    return {&row, 1, sizeof(row)};
  }
  static std::unique_ptr<tessera::sdk::Device> open(
      uint32_t index, const tessera::sdk::Options& options,
      const tsr_host_services& host) {
    bool dies = false;
    for (const auto& [key, value] : options) {
      if (key != "die") {
        throw Error(TSR_INVALID_ARGUMENT, "no option " + key);
      }
      dies = value == "1";
    }
    host.log(host.host, TSR_LOG_INFO, "toy opened");
    return std::make_unique<ToyDevice>(host, index == 0, dies);
  }
};

}  // namespace

TSR_DEFINE_PLUGIN(ToyBackend)
