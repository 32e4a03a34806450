// SPDX-License-Identifier: Apache-2.0

#include "framework/host/remote/wire_question.hpp"

#include <span>

#include "tessera/record.hpp"

namespace tessera {

void put_question(WireWriter& writer, const tsr_program_desc& program,
                  const tsr_array* weights, const tsr_array* kv_pools) {
  writer.put_bytes(
      {reinterpret_cast<const std::byte*>(&program), program.record_bytes});
  const auto descs = weights == nullptr
                         ? std::vector<tsr_weight_desc>()
                         : sdk::Elements<tsr_weight_desc>(*weights).all();
  writer.put(uint64_t{descs.size()});
  for (tsr_weight_desc desc : descs) {
    std::vector<tsr_plane> planes = sdk::Elements<tsr_plane>(desc.planes).all();
    for (tsr_plane& plane : planes) plane.data = nullptr;
    desc.planes = {planes.data(), static_cast<uint32_t>(planes.size()),
                   sizeof(tsr_plane)};
    put_weight_desc(writer, desc);
  }
  const auto pools = kv_pools == nullptr
                         ? std::vector<tsr_kv_desc>()
                         : sdk::Elements<tsr_kv_desc>(*kv_pools).all();
  writer.put(uint64_t{pools.size()});
  for (const tsr_kv_desc& pool : pools) put_kv_desc(writer, pool);
}

bool get_question(WireReader& reader, Question& question) {
  const std::span<const std::byte> record = reader.get_bytes();
  if (record.size() < sizeof(tsr_program_desc)) return false;
  question.program = reinterpret_cast<const tsr_program_desc*>(record.data());
  if (question.program->record_bytes != record.size()) return false;
  for (auto count = reader.get<uint64_t>(); count > 0 && reader.ok(); --count) {
    WireWeight& weight = question.storage.emplace_back();
    if (!get_weight_desc(reader, nullptr, 0, &weight)) return false;
    question.weights.push_back(weight.desc);
  }
  for (auto count = reader.get<uint64_t>(); count > 0 && reader.ok(); --count) {
    question.kv_pools.push_back(get_kv_desc(reader, question.nodes));
  }
  return reader.ok();
}

}  // namespace tessera
