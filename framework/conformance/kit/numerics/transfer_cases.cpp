// SPDX-License-Identifier: Apache-2.0
//
// Level 1, what moves bytes: copies between buffers, KV blocks in and out and
// within a pool, and the records of a profile.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/trial/moved_bytes.hpp"
#include "framework/conformance/reference/attention/kv.hpp"
#include "framework/format/kv_block.hpp"
#include "tessera/names.hpp"

namespace tessera::conformance {
namespace {

Status copy_buffers(CaseContext& context) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  const std::vector<std::byte> from = random_bytes(4096, 1);
  std::vector<std::byte> to = random_bytes(4096, 99);
  struct Range {
    uint64_t src;
    uint64_t dst;
    uint64_t bytes;
  };
  TSR_ASSIGN_OR_RETURN(Buffer src, filled_buffer(device, from));
  TSR_ASSIGN_OR_RETURN(Buffer dst, filled_buffer(device, to));
  for (const Range& range : {Range{0, 0, 4}, Range{256, 1024, 768},
                             Range{4, 3000, 100}, Range{4092, 4092, 4}}) {
    tsr_submission moved{};
    moved.src = src.id();
    moved.dst = dst.id();
    moved.src_offset = range.src;
    moved.dst_offset = range.dst;
    moved.bytes = range.bytes;
    TSR_RETURN_IF_ERROR(copy(device, moved).annotate("copy"));
    std::memcpy(&to[range.dst], &from[range.src], range.bytes);
    TSR_ASSIGN_OR_RETURN(const std::vector<std::byte> got, contents_of(dst));
    if (got != to) {
      return {TSR_INTERNAL,
              fmt::format("a copy of {} bytes from {} to {} is wrong",
                          range.bytes, range.src, range.dst)};
    }
  }
  tsr_submission past{};
  past.src = src.id();
  past.dst = dst.id();
  past.dst_offset = 4093;
  past.bytes = 4;
  if (copy(device, past).ok()) {
    return {TSR_INTERNAL, "a copy past the end of its buffer is OK"};
  }
  return context.allocator().check();
}

tsr_kv_desc kv_desc(const tsr_kernel_desc& row, uint32_t format) {
  tsr_kv_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.format = format;
  desc.num_kv_heads = 3;
  desc.head_dim = fit(row.head_dim, 32);
  desc.block_size = fit(row.block_size, 16);
  desc.num_blocks = 7;
  return desc;
}

// A pool, and a host-visible buffer of as many canonical blocks.
class BlockMover {
 public:
  BlockMover(std::shared_ptr<Device> device, const tsr_kv_desc& desc)
      : device_(std::move(device)), desc_(desc) {}

  Status open() {
    TSR_ASSIGN_OR_RETURN(layout_, format::kv_block_layout(desc_));
    TSR_ASSIGN_OR_RETURN(pool_, device_->create_kv_pool(desc_));
    return {};
  }
  uint64_t block_bytes() const { return layout_.bytes; }

  Status import(const std::vector<std::byte>& blocks,
                const std::vector<tsr_block_pair>& pairs) {
    TSR_ASSIGN_OR_RETURN(Buffer buffer, filled_buffer(device_, blocks));
    return move(TSR_SUBMIT_KV_IMPORT, buffer.id(), pool_.id(), pairs);
  }
  Result<std::vector<std::byte>> export_blocks(
      const std::vector<tsr_block_pair>& pairs) {
    TSR_ASSIGN_OR_RETURN(
        Buffer buffer,
        filled_buffer(
            device_, std::vector<std::byte>(layout_.bytes * desc_.num_blocks)));
    TSR_RETURN_IF_ERROR(
        move(TSR_SUBMIT_KV_EXPORT, pool_.id(), buffer.id(), pairs));
    return contents_of(buffer);
  }
  Status copy(const std::vector<tsr_block_pair>& pairs) {
    return move(TSR_SUBMIT_KV_COPY, pool_.id(), pool_.id(), pairs);
  }

 private:
  Status move(uint32_t kind, uint64_t src, uint64_t dst,
              const std::vector<tsr_block_pair>& pairs) {
    SubmissionBuilder work(kind);
    work.record().src = src;
    work.record().dst = dst;
    for (const tsr_block_pair& pair : pairs) work.add_block(pair);
    return submit(device_, work)
        .annotate(fmt::format("kv blocks, submission kind {}", kind));
  }

  std::shared_ptr<Device> device_;
  tsr_kv_desc desc_;
  format::KvBlockLayout layout_;
  KvPool pool_;
};

// Padding between the parts of a block is nobody's.
Status same_block(const tsr_kv_desc& desc, std::vector<std::byte> got,
                  uint32_t got_block, std::vector<std::byte> want,
                  uint32_t want_block) {
  TSR_ASSIGN_OR_RETURN(const reference::KvPool a,
                       reference::KvPool::open(desc, got));
  TSR_ASSIGN_OR_RETURN(const reference::KvPool b,
                       reference::KvPool::open(desc, want));
  const uint64_t code_bytes = a.code_dtype() == TSR_F32  ? 4
                              : a.code_dtype() == TSR_I8 ? 1
                                                         : 2;
  for (uint32_t offset = 0; offset < desc.block_size; ++offset) {
    const uint64_t x = uint64_t{got_block} * desc.block_size + offset;
    const uint64_t y = uint64_t{want_block} * desc.block_size + offset;
    for (uint32_t head = 0; head < desc.num_kv_heads; ++head) {
      for (const auto part :
           {reference::KvPart::kKey, reference::KvPart::kValue}) {
        bool same = std::memcmp(a.codes(part, x, head), b.codes(part, y, head),
                                desc.head_dim * code_bytes) == 0;
        if (desc.format == TSR_KV_I8_TOKEN) {
          same = same && std::memcmp(a.token_scale(part, x, head),
                                     b.token_scale(part, y, head), 4) == 0;
        }
        if (same) continue;
        return {TSR_INTERNAL, fmt::format("block {}: token {}, head {} differs",
                                          got_block, offset, head)};
      }
    }
  }
  return {};
}

Status move_blocks(CaseContext& context, const tsr_kv_desc& desc) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  BlockMover mover(device, desc);
  TSR_RETURN_IF_ERROR(mover.open());
  // Small numbers, so that no format sees a NaN.
  std::vector<std::byte> blocks =
      random_bytes(mover.block_bytes() * desc.num_blocks, 5);
  for (std::byte& byte : blocks) byte &= std::byte{0x3f};
  std::vector<tsr_block_pair> all;
  for (uint32_t b = 0; b < desc.num_blocks; ++b) all.push_back({b, b});
  TSR_RETURN_IF_ERROR(mover.import(blocks, all));
  // Out of order, and not all of them: pool block 5 to place 0 ...
  TSR_ASSIGN_OR_RETURN(std::vector<std::byte> got,
                       mover.export_blocks({{5, 0}, {0, 1}, {6, 2}}));
  TSR_RETURN_IF_ERROR(same_block(desc, got, 0, blocks, 5).annotate("export"));
  TSR_RETURN_IF_ERROR(same_block(desc, got, 1, blocks, 0).annotate("export"));
  TSR_RETURN_IF_ERROR(same_block(desc, got, 2, blocks, 6).annotate("export"));
  // ... place 3 to pool block 1, then pool block 1 to 2.
  TSR_RETURN_IF_ERROR(mover.import(blocks, {{3, 1}}));
  TSR_RETURN_IF_ERROR(mover.copy({{1, 2}, {6, 4}}));
  TSR_ASSIGN_OR_RETURN(got, mover.export_blocks(all));
  const uint32_t want[] = {0, 3, 3, 3, 6, 5, 6};
  for (uint32_t b = 0; b < desc.num_blocks; ++b) {
    TSR_RETURN_IF_ERROR(
        same_block(desc, got, b, blocks, want[b]).annotate("copy"));
  }
  if (mover.copy({{0, desc.num_blocks}}).ok()) {
    return {TSR_INTERNAL, "a copy to a block outside of the pool is OK"};
  }
  return context.allocator().check();
}

Status check_kv_query(CaseContext& context, const tsr_kv_desc& desc) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  TSR_ASSIGN_OR_RETURN(const KvPool pool, device->create_kv_pool(desc));
  TSR_ASSIGN_OR_RETURN(const format::KvBlockLayout layout,
                       format::kv_block_layout(desc));
  const bool canonical = pool.info().layout == 0;
  if (canonical && pool.info().block_bytes != layout.bytes) {
    return {TSR_INTERNAL,
            fmt::format("kv_query: a canonical block of {} bytes, not {}",
                        pool.info().block_bytes, layout.bytes)};
  }
  return {};
}

// Records of a profiled step: in order, inside the program, and of known
// length.
Status check_profile(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<OpRun> run,
                       OpRun::prepare(device, trial.setup, Memory::kCreated));
  Timeline timeline;
  TSR_ASSIGN_OR_RETURN(const uint64_t id, timeline.import_into(device));
  TSR_ASSIGN_OR_RETURN(Queue queue, device->create_queue());
  SubmissionBuilder work = run->submission(id, 1);
  work.set_flags(TSR_SUBMIT_PROFILE);
  TSR_RETURN_IF_ERROR(queue.submit(work.record()));
  TSR_RETURN_IF_ERROR(timeline.wait(1, kPatienceNs));
  const auto records = device->profile_read();
  if (records.status().code() == TSR_UNIMPLEMENTED) {
    return {TSR_UNAVAILABLE, "profile_read is not implemented"};
  }
  TSR_RETURN_IF_ERROR(records.status());
  uint64_t before = 0;
  for (const tsr_kernel_record& record : *records) {
    if (record.program != run->program_id()) continue;
    if (record.end_ns < record.begin_ns || record.begin_ns < before) {
      return {TSR_INTERNAL, "kernel records run backwards"};
    }
    before = record.begin_ns;
    if (record.num_ops == 0 || record.first_op + record.num_ops > 1) {
      return {TSR_INTERNAL, "a kernel record names ops the program has not"};
    }
    if (std::memchr(record.kernel, 0, sizeof(record.kernel)) == nullptr) {
      return {TSR_INTERNAL, "a kernel record's name has no end"};
    }
  }
  return {};
}

}  // namespace

void add_transfer_cases(const Claim& claim, const CaseOptions& /*options*/,
                        CaseList& cases) {
  const auto add = [&](const std::string& id, CaseBody body) {
    const bool known =
        std::any_of(cases.begin(), cases.end(),
                    [&](const Case& one) { return one.id == id; });
    if (known) return;
    Case one;
    one.id = id;
    one.run = std::move(body);
    cases.push_back(std::move(one));
  };
  add("L1/transfer/copy", copy_buffers);
  for (const tsr_kernel_desc& row : claim.rows()) {
    if (row.op != TSR_OP_ATTENTION && row.op != TSR_OP_KV_APPEND) continue;
    for (const uint32_t format : values_in(row.kv_formats)) {
      const tsr_kv_desc desc = kv_desc(row, format);
      const std::string name = sdk::names::kv_format(format);
      add("L1/transfer/kv_query/" + name, [desc](CaseContext& context) {
        return check_kv_query(context, desc);
      });
      add("L1/transfer/kv_blocks/" + name,
          [desc](CaseContext& context) { return move_blocks(context, desc); });
    }
  }
  const auto found =
      std::find_if(cases.begin(), cases.end(), [](const Case& one) {
        return one.trial && one.id.find("/kv") == std::string::npos;
      });
  if (found == cases.end()) return;
  add("L1/transfer/profile",
      [trial = found->trial](CaseContext& context) -> Status {
        TSR_ASSIGN_OR_RETURN(const OpTrial made, trial());
        return check_profile(context, made);
      });
}

}  // namespace tessera::conformance
