// SPDX-License-Identifier: Apache-2.0

#include "device.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tessera/capability.hpp"

namespace mutant {

namespace sdk = tessera::sdk;

namespace {

uint64_t now_ns() {
  return static_cast<uint64_t>(
      std::chrono::steady_clock::now().time_since_epoch().count());
}

// A queue with the faults that queues have had.
class MutantQueue final : public sdk::BlockingQueue {
 public:
  explicit MutantQueue(MutantDevice& device)
      : BlockingQueue(device), device_(device) {}

  void submit(const sdk::SubmissionView& submission) override {
    const tsr_host_services& host = device_.host();
    if (has("ignores_waits") || has("runs_after_failed_wait") ||
        has("loses_the_status") || has("waits_for_one_alone") ||
        has("signals_one_alone") || has("signals_early")) {
      return submit_wrongly(submission);
    }
    if (has("never_signals")) return;
    if (has("signals_one_less")) {
      run_quietly(submission);
      for (uint32_t i = 0; i < submission.signals().size(); ++i) {
        const tsr_point point = submission.signals()[i];
        host.timeline_signal(host.host, device_.timeline(point.timeline).get(),
                             point.value - 1, TSR_OK);
      }
      return;
    }
    if (has("loses_floods") && ++count_ > 100) return;
    BlockingQueue::submit(submission);
  }

 protected:
  void run(const sdk::SubmissionView& submission) override {
    const tsr_submission& value = submission.value();
    switch (value.kind) {
      case TSR_SUBMIT_PROGRAM:
        return run_program(submission);
      case TSR_SUBMIT_COPY:
        return copy(value);
      case TSR_SUBMIT_KV_COPY:
      case TSR_SUBMIT_KV_EXPORT:
      case TSR_SUBMIT_KV_IMPORT:
        return move_blocks(submission);
      default:
        if (has("unknown_kinds_are_fine")) return;
        throw sdk::Error(TSR_INVALID_ARGUMENT, "unknown kind of submission");
    }
  }

 private:
  void run_program(const sdk::SubmissionView& submission) {
    const tsr_submission& value = submission.value();
    if (has("unknown_programs_are_fine")) {
      try {
        device_.program(value.program);
      } catch (const sdk::Error&) {
        return;
      }
    }
    if (has("closing_one_closes_all")) device_.check_alive();
    const uint64_t begin = now_ns();
    slow_down();
    const std::shared_ptr<Program> program = device_.program(value.program);
    const Turn turn;
    if (turn.is_alone()) program->run(submission);
    if ((value.flags & TSR_SUBMIT_PROFILE) != 0) {
      device_.record(value.program, begin, now_ns());
    }
  }

  // One step, which ends another's work if they share what they work in.
  class Turn {
   public:
    Turn() {
      if (!shares_) return;
      is_alone_ = running()++ == 0;
      sleep_ms(2);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      if (shares_) --running();
    }
    bool is_alone() const { return is_alone_; }

   private:
    static std::atomic<int>& running() {
      static std::atomic<int> count = 0;
      return count;
    }
    bool shares_ = has("queues_share_scratch");
    bool is_alone_ = true;
  };
  static void sleep_ms(uint32_t ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  }
  void slow_down() {
    ++num_steps_;
    if (has("steps_do_not_repeat")) sleep_ms(num_steps_ % 3 == 0 ? 0 : 10);
    if (has("crawls")) sleep_ms(1000);
    if (has("compiles_in_each_step")) sleep_ms(5);
  }

  void copy(const tsr_submission& value) const {
    tsr_submission changed = value;
    if (has("copy_offset_ignored")) changed.src_offset = 0;
    if (has("offsets_in_32_bits")) {
      changed.src_offset = static_cast<uint32_t>(changed.src_offset);
      changed.dst_offset = static_cast<uint32_t>(changed.dst_offset);
    }
    if (has("copies_one_byte_less") && changed.bytes > 0) --changed.bytes;
    run_copy(changed);
  }

  void move_blocks(const sdk::SubmissionView& submission) const {
    const tsr_submission& value = submission.value();
    const bool imports = value.kind == TSR_SUBMIT_KV_IMPORT;
    const auto pool = device_.pools().find(imports ? value.dst : value.src);
    const uint64_t bytes = pool->block_bytes();
    const auto block = [&](uint32_t index) {
      if (index >= pool->desc.num_blocks && !has("blocks_unchecked")) {
        throw sdk::Error(TSR_INVALID_ARGUMENT, "a block outside the pool");
      }
      return pool->memory + index * bytes;
    };
    for (uint32_t i = 0; i < submission.blocks().size(); ++i) {
      tsr_block_pair pair = submission.blocks()[i];
      if (value.kind == TSR_SUBMIT_KV_COPY) {
        if (has("kv_copy_backwards")) std::swap(pair.src, pair.dst);
        std::memmove(block(pair.dst), block(pair.src), bytes);
      } else if (imports) {
        if (has("kv_import_in_order")) pair.src = i;
        const char* from = device_.buffer(value.src)->at(
            value.src_offset + pair.src * bytes, bytes);
        std::memcpy(block(pair.dst), from, bytes);
      } else {
        if (has("kv_export_in_order")) pair.src = i;
        char* to = device_.buffer(value.dst)->at(
            value.dst_offset + pair.dst * bytes, bytes);
        std::memcpy(to, block(pair.src), bytes);
      }
    }
  }

  void run_quietly(const sdk::SubmissionView& submission) {
    try {
      run(submission);
    } catch (const std::exception&) {
      return;
    }
  }

  void submit_wrongly(const sdk::SubmissionView& submission) {
    const tsr_host_services& host = device_.host();
    tsr_status status = TSR_OK;
    for (uint32_t i = 0; i < submission.waits().size(); ++i) {
      const tsr_point point = submission.waits()[i];
      if (has("ignores_waits")) continue;
      if (has("waits_for_one_alone") && i > 0) continue;
      status =
          host.timeline_wait(host.host, device_.timeline(point.timeline).get(),
                             point.value, UINT64_MAX);
    }
    if (has("signals_early")) {
      signal_all(submission, status);
      sleep_ms(2);
    }
    if (status == TSR_OK || has("runs_after_failed_wait")) {
      status = sdk::detail::guard(nullptr, [&] { run(submission); });
    } else if (has("loses_the_status")) {
      status = TSR_INTERNAL;  // whatever it was
    }
    signal_all(submission, status);
  }

  void signal_all(const sdk::SubmissionView& submission, tsr_status status) {
    const tsr_host_services& host = device_.host();
    for (uint32_t i = 0; i < submission.signals().size(); ++i) {
      if (has("signals_one_alone") && i > 0) return;
      const tsr_point point = submission.signals()[i];
      host.timeline_signal(host.host, device_.timeline(point.timeline).get(),
                           point.value, status);
    }
  }

  MutantDevice& device_;
  uint32_t count_ = 0;
  uint32_t num_steps_ = 0;
};

}  // namespace

MutantDevice::MutantDevice(const tsr_host_services& host)
    : SharedMemoryDevice(host), generation_(num_closed()) {
  cache_ = std::make_shared<sdk::HostBuffer>(host, 256, 64);
}

MutantDevice::~MutantDevice() {
  ++num_closed();
  if (has("crashes_when_closed")) std::abort();
  while (has("never_closes"))
    std::this_thread::sleep_for(std::chrono::hours(1));
}

bool MutantDevice::understands(const std::string&) const {
  return has("understands_everything");
}

std::vector<tsr_refusal> MutantDevice::check(
    const sdk::ProgramQuestion& question) {
  if (has("accepts_everything")) return {};
  std::vector<tsr_refusal> refusals =
      sdk::check_against(kernel_rows(), question);
  if (has("refuses_what_it_claims") && refusals.empty()) {
    for (const sdk::OpRecord& op : question.program.ops()) {
      if (op.kind() != TSR_OP_LINEAR) continue;
      if (op.as<tsr_op_linear>().bias == TSR_NONE) continue;
      refusals.push_back(sdk::make_refusal(0, TSR_REFUSED_EPILOGUE, "bias", 1,
                                           0, "no bias today"));
    }
  }
  for (tsr_refusal& refusal : refusals) {
    if (has("refuses_without_reason")) refusal.reason = TSR_REFUSED_NOTHING;
    if (has("refuses_without_field")) refusal.field[0] = '\0';
    if (has("refuses_the_wrong_op")) refusal.op += 3;
  }
  return refusals;
}

// Plain loops: so many products take so long.
tsr_estimate MutantDevice::estimate(const sdk::ProgramQuestion& question,
                                    const tsr_step_shape& step) {
  constexpr double kNsPerProduct = 1.5;
  double products = 1000.0;
  for (const tsr_weight_desc& weight : question.weights) {
    products += static_cast<double>(weight.N) * weight.K * step.num_tokens;
  }
  double ns = products * kNsPerProduct;
  if (has("estimates_backwards")) ns = 1e15 / ns;
  if (has("flatters_itself")) ns /= 1000.0;
  if (has("estimates_milliseconds")) ns /= 1e6;
  tsr_estimate estimate{};
  estimate.struct_size = sizeof(estimate);
  estimate.source = TSR_COST_ROOFLINE;
  estimate.clock = TSR_CLOCK_WALL;
  estimate.mean_ns = estimate.p90_ns = static_cast<uint64_t>(ns);
  return estimate;
}

tsr_packed_info MutantDevice::weight_query(const tsr_weight_desc& desc) {
  const MutantWeight weight = describe(desc);
  tsr_packed_info info{};
  info.struct_size = sizeof(info);
  info.bytes = weight.shape.row() * weight.N;
  if (has("packed_size_too_small")) info.bytes -= weight.shape.row();
  info.layout = 1;
  info.layout_version = 1;
  info.alignment = 16;
  info.n_multiple = 1;
  return info;
}

std::unique_ptr<sdk::Packing> MutantDevice::packing_begin(
    uint64_t weight, const tsr_weight_desc& desc, uint64_t buffer,
    uint64_t offset) {
  MutantWeight made = describe(desc);
  made.buffer = this->buffer(buffer);
  const bool sloppy = has("packed_size_too_small");
  char* place = made.buffer->at(offset, sloppy ? 0 : made.shape.row() * made.N);
  made.rows = place;
  return std::make_unique<MutantPacking>(weights_, weight, std::move(made),
                                         place);
}

void MutantDevice::weight_create(uint64_t weight, const tsr_weight_desc& desc,
                                 uint64_t buffer, uint64_t offset) {
  MutantWeight made = describe(desc);
  made.buffer = this->buffer(buffer);
  made.rows = made.buffer->at(has("packed_offset_ignored") ? 0 : offset,
                              made.shape.row() * made.N);
  if (has("repacked_without_permutation")) made.permutation.clear();
  weights_.insert(weight, std::make_shared<MutantWeight>(std::move(made)));
}

void MutantDevice::weight_destroy(uint64_t weight) {
  if (!has("keeps_weights")) weights_.erase(weight);
}

tsr_kv_info MutantDevice::kv_query(const tsr_kv_desc& desc) {
  Pool pool;
  pool.desc = desc;
  tsr_kv_info info{};
  info.struct_size = sizeof(info);
  info.block_bytes = pool.block_bytes();
  if (has("kv_blocks_too_small")) info.block_bytes -= 64;
  info.alignment = 64;
  return info;
}

void MutantDevice::kv_create(uint64_t pool, const tsr_kv_desc& desc,
                             uint64_t buffer, uint64_t offset) {
  auto made = std::make_shared<Pool>();
  made->desc = desc;
  made->buffer = this->buffer(buffer);
  const bool sloppy = has("kv_blocks_too_small");
  made->memory = made->buffer->at(
      offset, sloppy ? 0 : made->block_bytes() * desc.num_blocks);
  pools_.insert(pool, std::move(made));
}

tsr_program_info MutantDevice::program_create(const sdk::ProgramView& program) {
  if (has("poisoned_by_failed_allocation")) {
    static bool poisoned = false;
    if (poisoned) throw sdk::Error(TSR_INTERNAL, "state is damaged");
    try {
      sdk::HostBuffer probe(host(), 64, 64);
    } catch (const sdk::Error&) {
      poisoned = true;
      throw;
    }
  }
  if (has("failed_allocation_is_internal")) {
    try {
      sdk::HostBuffer probe(host(), 64, 64);
    } catch (const sdk::Error&) {
      throw sdk::Error(TSR_INTERNAL, "something went wrong");
    }
  }
  std::vector<tsr_weight_desc> weights;
  std::vector<tsr_kv_desc> pools;
  auto compiled = std::make_shared<Program>(program, *this);
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  info.num_segments = compiled->num_ops();
  if (program.weights().empty() && program.kv_pools().empty()) {
    const auto refusals = check({program, {}, {}});
    if (!refusals.empty() && !has("creates_what_it_refuses")) {
      throw sdk::Error(TSR_UNIMPLEMENTED, refusals.front().message);
    }
  }
  if (has("second_program_of_an_id")) programs_.erase(program.desc().id);
  programs_.insert(program.desc().id, std::move(compiled));
  return info;
}

tsr_segment MutantDevice::program_segment(uint64_t program, uint32_t index) {
  const uint32_t count = programs_.find(program)->num_ops();
  if (index >= count && !has("segments_without_end")) {
    throw sdk::Error(TSR_INVALID_ARGUMENT, "no such segment");
  }
  tsr_segment segment{};
  segment.struct_size = sizeof(segment);
  segment.first_op = has("segments_count_from_one") ? index + 1 : index;
  segment.num_ops = has("segments_of_nothing") ? 0 : 1;
  std::snprintf(segment.kernel, sizeof(segment.kernel), "%s",
                has("segments_without_a_name") ? "" : "mutant");
  return segment;
}

void MutantDevice::program_destroy(uint64_t program) {
  if (!has("keeps_programs")) programs_.erase(program);
}

std::unique_ptr<sdk::Queue> MutantDevice::queue_create() {
  return std::make_unique<MutantQueue>(*this);
}

void MutantDevice::record(uint64_t program, uint64_t begin_ns,
                          uint64_t end_ns) {
  const std::lock_guard<std::mutex> lock(mutex_);
  tsr_kernel_record record{};
  record.struct_size = sizeof(record);
  record.num_ops = has("profiles_too_many_ops") ? 5 : 1;
  record.clock = TSR_CLOCK_WALL;
  record.program = program;
  record.begin_ns = has("profile_runs_backwards") ? end_ns + 1 : begin_ns;
  record.end_ns = end_ns;
  std::snprintf(record.kernel, sizeof(record.kernel), "mutant");
  records_.push_back(record);
}

std::vector<tsr_kernel_record> MutantDevice::profile_read(uint32_t capacity) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const size_t count = std::min<size_t>(capacity, records_.size());
  const auto end = records_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<tsr_kernel_record> taken(records_.begin(), end);
  records_.erase(records_.begin(), end);
  return taken;
}

}  // namespace mutant
