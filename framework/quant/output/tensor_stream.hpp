// SPDX-License-Identifier: Apache-2.0
//
// Tensors that come one by one, straight into safetensors files whose headers
// are written last, so that every byte is written once.

#pragma once

#include <cstddef>
#include <cstdint>
#include <future>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/layouts/named_tensor.hpp"
#include "framework/model/safetensors_writer.hpp"

namespace tessera::quant {

struct StreamLimits {
  // Below this, the room for headers would be more than 0.4 % of the file: it
  // is copied.
  uint64_t small_bytes = UINT64_C(256) << 20;
  uint64_t shard_bytes = UINT64_C(4)
                         << 30;  // of data, unless a tensor has more
};

// One thread at a time.  All errors FAILED_PRECONDITION, naming the file.
class TensorStream {
 public:
  // Files go to `folder`, which exists.
  explicit TensorStream(std::string folder, StreamLimits limits = {})
      : folder_(std::move(folder)), limits_(limits) {}
  ~TensorStream();
  TensorStream(const TensorStream&) = delete;
  TensorStream& operator=(const TensorStream&) = delete;

  // All bytes of a tensor, whose pages are given back if they are mapped.
  // Errors  INVALID_ARGUMENT for another size, or a name that was there before
  Status append(const PlannedTensor& tensor, std::span<const std::byte> bytes);

  // The same, written while the caller goes on; the next call that is not this
  // one, or the next tensor, meets the error.
  Status append_behind(NamedTensor tensor);

  // What was appended, and back: what came later is cut off the files.
  // Errors  those of what is written behind
  Result<nlohmann::json> state();
  // Errors  DATA_LOSS if the files are not those of `state`
  Status restore(const nlohmann::json& state);

  // Hands what was appended to the disk, and waits for it.
  Status sync();

  // Makes the files a user sees of those in the folder: one, or shards and an
  // index.  Small models are written in the order that
  // write_shards() gives.
  Status finish(const std::string& stem);

 private:
  // One file as it grows: room for a header, then tensors without a gap.
  struct Part {
    std::string file;
    uint64_t data_bytes = 0;
    uint64_t header_bytes = 0;  // of the text, about
    std::vector<PlannedTensor> tensors;
    std::vector<uint64_t> sizes;
    int fd = -1;
  };

  struct Place {
    int fd;
    uint64_t offset;
    std::string path;
  };

  std::string path(const Part& part) const { return folder_ + "/" + part.file; }
  Status open(Part& part) const;
  Result<Part*> part_for(uint64_t bytes, uint64_t header_bytes);
  // Gives the next bytes of a part to a tensor.
  Result<Place> reserve(const PlannedTensor& tensor, uint64_t bytes);
  static Place take(Part& part, const PlannedTensor& tensor, uint64_t bytes,
                    uint64_t begin);
  Status wait();
  Status finish_small(const std::string& stem);
  Status finish_large(const std::string& stem);
  Status append_odd();

  std::string folder_;
  StreamLimits limits_;
  std::vector<Part> parts_;
  // Tensors whose size would leave the next one unaligned; they go last.
  Part odd_{"odd.part", 0, 0, {}, {}, -1};
  std::set<std::string> names_;
  std::future<Status> behind_;
};

}  // namespace tessera::quant
