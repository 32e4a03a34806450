// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/weights.hpp"

#include <atomic>
#include <string>
#include <vector>

#include "tessera/record.hpp"

namespace tessera::cpu {
namespace {

// One packing transaction: the rows of `desc` go to `packed`.
class CpuPacking final : public sdk::Packing {
 public:
  CpuPacking(CpuDevice& device, uint64_t id, const tsr_weight_desc& desc,
             std::shared_ptr<sdk::HostBuffer> buffer, uint64_t offset)
      : device_(device),
        id_(id),
        desc_(desc),
        planes_(sdk::Elements<tsr_plane>(desc.planes).all()),
        shape_(weight_shape(desc)),
        buffer_(std::move(buffer)),
        packed_(buffer_->at(offset, shape_.packed_bytes)) {
    if (shape_.layout == Layout::kRaw) {
      throw sdk::Error(TSR_FAILED_PRECONDITION,
                       "this weight is used in place, not packed");
    }
    // The caller's array of planes need not outlive packing_begin.
    desc_.planes = {planes_.data(), static_cast<uint32_t>(planes_.size()),
                    sizeof(tsr_plane)};
  }

  void slice(uint32_t n_begin, uint32_t n_end,
             const tsr_weight_desc& slice) override {
    pack_rows(shape_, slice, n_begin, n_end, packed_);
    rows_ += n_end - n_begin;
  }

  void commit() override {
    if (rows_ != desc_.N) {
      throw sdk::Error(TSR_FAILED_PRECONDITION, std::to_string(rows_) + " of " +
                                                    std::to_string(desc_.N) +
                                                    " rows are packed");
    }
    device_.add_weight(
        id_, std::make_shared<PackedWeight>(open_weight(desc_, packed_),
                                            std::move(buffer_)));
  }

 private:
  CpuDevice& device_;
  uint64_t id_;
  tsr_weight_desc desc_;
  std::vector<tsr_plane> planes_;
  WeightShape shape_;
  std::shared_ptr<sdk::HostBuffer> buffer_;
  char* packed_;
  std::atomic<uint64_t> rows_{0};
};

}  // namespace

tsr_packed_info query_weight(const tsr_weight_desc& desc) {
  const WeightShape shape = weight_shape(desc);
  tsr_packed_info info{};
  info.struct_size = sizeof(info);
  info.bytes = shape.packed_bytes;
  info.layout = static_cast<uint64_t>(shape.layout);
  info.layout_version = kLayoutVersion;
  info.alignment = kPackedAlignment;
  // The tiles of a SPARSE weight are expanded together.
  const bool sparse = desc.format == TSR_WEIGHT_SPARSE_FIXED;
  info.n_multiple = sparse ? desc.N : static_cast<uint32_t>(kTileCols);
  return info;
}

std::unique_ptr<sdk::Packing> begin_packing(CpuDevice& device, uint64_t weight,
                                            const tsr_weight_desc& desc,
                                            uint64_t buffer, uint64_t offset) {
  return std::make_unique<CpuPacking>(device, weight, desc,
                                      device.buffer(buffer), offset);
}

std::shared_ptr<PackedWeight> create_weight(CpuDevice& device,
                                            const tsr_weight_desc& desc,
                                            uint64_t buffer, uint64_t offset) {
  const WeightShape shape = weight_shape(desc);
  if (shape.layout == Layout::kRaw) {
    return std::make_shared<PackedWeight>(open_weight(desc, nullptr), nullptr);
  }
  auto memory = device.buffer(buffer);
  const char* packed = memory->at(offset, shape.packed_bytes);
  return std::make_shared<PackedWeight>(open_weight(desc, packed),
                                        std::move(memory));
}

}  // namespace tessera::cpu
