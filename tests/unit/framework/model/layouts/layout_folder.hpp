// SPDX-License-Identifier: Apache-2.0
//
// A folder with one quantized linear, made tensor by tensor, so that a test can
// leave one out or bend it.

#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "framework/model/checkpoint.hpp"
#include "framework/model/layouts/named_tensor.hpp"
#include "framework/model/layouts/quantized_folder.hpp"
#include "framework/model/safetensors_writer.hpp"
#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera {

inline constexpr const char* kModule = "model.layers.0.mlp.up_proj";

struct LayoutFolder {
  nlohmann::json config;  // of `config_file`
  std::string config_file = "config.json";
  std::map<std::string, NamedTensor> tensors;  // by the part's name

  template <typename T>
  void put(const std::string& part, uint32_t dtype, std::vector<uint64_t> shape,
           const std::vector<T>& values) {
    tensors[part] = make_tensor<T>(std::string(kModule) + "." + part, dtype,
                                   std::move(shape), values);
  }

  // The values of the linear as it is read, or why it is not.
  Result<std::vector<float>> read() const {
    const ScratchFolder scratch;
    scratch.write(config_file, config.dump());
    std::vector<PlannedTensor> plans;
    for (const auto& [part, tensor] : tensors) plans.push_back(tensor.plan);
    plans = file_order(std::move(plans));
    TSR_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                         SafetensorsWriter::create(
                             scratch.path() + "/model.safetensors", plans));
    for (const PlannedTensor& plan : plans) {
      for (const auto& [part, tensor] : tensors) {
        if (tensor.plan == plan) {
          TSR_RETURN_IF_ERROR(writer.append(tensor.bytes));
        }
      }
    }
    TSR_RETURN_IF_ERROR(writer.finish());
    TSR_ASSIGN_OR_RETURN(const Checkpoint checkpoint,
                         Checkpoint::open(scratch.path()));
    TSR_ASSIGN_OR_RETURN(const auto layout,
                         find_quantized_layout(scratch.path()));
    if (layout == nullptr) return Status(TSR_NOT_FOUND, "no layout");
    const WeightSource source = quantized_source(checkpoint, layout);
    TSR_ASSIGN_OR_RETURN(const SourceTensor tensor,
                         source.tensor(std::string(kModule) + ".weight"));
    std::vector<float> values(tensor.bytes.size() / sizeof(float));
    std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
    return values;
  }

  std::string error() const {
    const auto values = read();
    return values.ok() ? "" : values.status().message();
  }
};

// Every tensor that `needed` names is missed by its name, and neither another
// shape nor another type of it is believed.
inline void expect_each_is_checked(const LayoutFolder& whole,
                                   const std::vector<std::string>& needed) {
  ASSERT_TRUE(whole.read().ok()) << whole.error();
  for (const std::string& part : needed) {
    LayoutFolder folder = whole;
    folder.tensors.erase(part);
    EXPECT_NE(folder.error().find(part), std::string::npos)
        << part << " left out: " << folder.error();

    folder = whole;
    NamedTensor& longer = folder.tensors.at(part);
    const size_t row = longer.plan.shape.empty()
                           ? longer.bytes.size()
                           : longer.bytes.size() / longer.plan.shape[0];
    if (longer.plan.shape.empty()) longer.plan.shape = {1};
    ++longer.plan.shape[0];
    longer.bytes.resize(longer.bytes.size() + row);
    EXPECT_NE(folder.error(), "") << part << " with a row more";

    folder = whole;
    NamedTensor& other = folder.tensors.at(part);
    uint64_t count = 1;
    for (const uint64_t extent : other.plan.shape) count *= extent;
    other.plan.dtype = TSR_F8E5M2;
    other.bytes.assign(count, std::byte{0});
    EXPECT_NE(folder.error().find(part), std::string::npos)
        << part << " of another type: " << folder.error();
  }
}

}  // namespace tessera
