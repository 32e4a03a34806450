// SPDX-License-Identifier: Apache-2.0
//
// Hostile quant_model_description.json files over sound tensors.

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "framework/model/checkpoint.hpp"
#include "framework/model/json_document.hpp"
#include "framework/model/layouts/msmodelslim_layout.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace {

using tessera::Checkpoint;
using tessera::promise;

constexpr const char* kModules[] = {"a", "b", "c", "model.layers.0.mlp"};

// Appends a tensor of zeros to a safetensors header.
void append(std::string& header, std::string& data, const std::string& name,
            const std::string& dtype, const std::string& shape, size_t bytes) {
  const size_t begin = data.size();
  data.append(bytes, '\1');
  header += (header.empty() ? "\"" : ",\"") + name + "\":{\"dtype\":\"" +
            dtype + "\",\"shape\":[" + shape + "],\"data_offsets\":[" +
            std::to_string(begin) + "," + std::to_string(data.size()) + "]}";
}

// Four linears of 8 x 64, each with the tensors of several types.
Checkpoint open_sample() {
  std::string header;
  std::string data;
  for (const std::string module : kModules) {
    append(header, data, module + ".weight", "I8", "8,64", 512);
    append(header, data, module + ".weight_scale", "F32", "8,1", 32);
    append(header, data, module + ".weight_offset", "F32", "8,1", 32);
    append(header, data, module + ".input_scale", "F32", "1", 4);
    append(header, data, module + ".input_offset", "F32", "1", 4);
    append(header, data, module + ".quant_bias", "I32", "8", 32);
    append(header, data, module + ".deq_scale", "F32", "8", 32);
  }
  header = "{" + header + "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string pattern =
      (std::filesystem::temp_directory_path() / "tsr_fuzz_XXXXXX").string();
  const std::string folder = mkdtemp(pattern.data());
  const uint64_t length = header.size();
  std::ofstream file(folder + "/model.safetensors", std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof(length));
  file << header << data;
  file.close();
  auto checkpoint = Checkpoint::open(folder);
  std::filesystem::remove_all(folder);  // stays mapped
  promise(checkpoint.ok(), "the sample is sound");
  return std::move(*checkpoint);
}

void read_all(const tessera::QuantizedLayout& layout) {
  static const Checkpoint checkpoint = open_sample();
  for (const char* module : kModules) {
    const tessera::ModuleTensors tensors(checkpoint, module);
    const auto found = layout.find(tensors);
    if (!found.ok()) {
      promise(!found.status().message().empty(), "errors explain");
      continue;
    }
    if (!found->has_value()) continue;
    const auto weight = layout.read(tensors, **found);
    promise(!weight.ok() || (weight->N == (*found)->N && weight->K > 0),
            "weights are as large as was said");
  }
  (void)layout.attention(checkpoint, 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = tessera::parse_json(text, "fuzz");
  if (!json.ok()) return 0;
  const auto layout = tessera::make_msmodelslim_layout(*json);
  if (!layout.ok()) {
    promise(!layout.status().message().empty(), "errors explain");
    return 0;
  }
  read_all(**layout);
  return 0;
}

std::vector<std::string> tessera::fuzz_seeds() {
  return {
      R"({"model_quant_type":"W8A8","a.weight":"W8A8","a.input_scale":"W8A8",)"
      R"("a.input_offset":"W8A8","a.quant_bias":"W8A8","a.deq_scale":"W8A8",)"
      R"("b.weight":"FLOAT","c.weight":"W8A8_MIX"})",
      R"({"model_quant_type":"W8A8_DYNAMIC","version":"1.0.0","group_size":0,)"
      R"("a.weight":"W8A8_DYNAMIC","b.weight":"W8A16","c.weight":"W8A8",)"
      R"("model.layers.0.mlp.weight":"W8A8_DYNAMIC"})",
      R"({"group_size":32,"a.weight":"W4A16","b.weight":"W4A8_DYNAMIC",)"
      R"("c.weight":"WFP8AFP8_DYNAMIC","kv_cache_type":"C8","fa_quant_type":)"
      R"("FAQuant","optional":{"quarot":{}}})",
  };
}
