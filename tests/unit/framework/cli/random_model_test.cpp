// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/random_model.hpp"

#include <gtest/gtest.h>

#include <string>

#include "framework/bench/model_shapes.hpp"
#include "framework/model/build_graph.hpp"
#include "framework/model/tensor_names.hpp"

namespace tessera::cli {
namespace {

// As the models' cards give them, embeddings once where they are shared.
TEST(RandomModel, HasAsManyParametersAsTheModelItIsNamedAfter) {
  const std::pair<const char*, double> kBillions[] = {
      {"qwen3-0.6b", 0.596}, {"qwen3-1.7b", 1.72},   {"qwen3-4b", 4.02},
      {"qwen3-8b", 8.19},    {"qwen3-14b", 14.77},   {"qwen3-32b", 32.76},
      {"llama3.1-8b", 8.03}, {"llama3.1-70b", 70.55}};
  ASSERT_EQ(bench::model_shapes().size(), std::size(kBillions));
  for (const auto& [name, billions] : kBillions) {
    const auto loaded = random_model(name);
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    double parameters = 0.0;
    for (const TensorSpec& spec : required_tensors(loaded->model->config)) {
      double count = 1.0;
      for (const uint64_t size : spec.shape) count *= static_cast<double>(size);
      parameters += count;
    }
    EXPECT_NEAR(parameters / 1e9, billions, 0.005 * billions) << name;
    EXPECT_TRUE(build_graph(loaded->model->config, 128).ok()) << name;
  }
}

TEST(RandomModel, MakesTensorsThatAreTheSameEachTime) {
  const auto loaded = random_model("qwen3-0.6b");
  ASSERT_TRUE(loaded.ok());
  const LayerTensorNames names = layer_tensor_names(3);
  const auto once = loaded->source.tensor(names.k_proj);
  const auto again = loaded->source.tensor(names.k_proj);
  ASSERT_TRUE(once.ok() && again.ok());
  EXPECT_EQ(once->dtype, uint32_t{TSR_BF16});
  EXPECT_EQ(once->shape, (std::vector<uint64_t>{1024, 1024}));
  EXPECT_EQ(once->bytes.size(), size_t{2} << 20);
  EXPECT_TRUE(std::equal(once->bytes.begin(), once->bytes.end(),
                         again->bytes.begin(), again->bytes.end()));
  EXPECT_EQ(loaded->source.tensor("none").status().code(), TSR_NOT_FOUND);
}

TEST(RandomModel, NamesThePresetsThatThereAre) {
  const auto loaded = random_model("qwen3-0.7b");
  ASSERT_FALSE(loaded.ok());
  EXPECT_NE(loaded.status().message().find("qwen3-0.6b"), std::string::npos);
}

}  // namespace
}  // namespace tessera::cli
