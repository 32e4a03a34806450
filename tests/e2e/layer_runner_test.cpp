// SPDX-License-Identifier: Apache-2.0
//
// A model run layer by layer computes what the whole model does.

#include "framework/runtime/layer_runner.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "framework/model/build_graph.hpp"
#include "tests/e2e/loaded_model.hpp"

namespace tessera::e2e {
namespace {

using Texts = std::vector<std::vector<int32_t>>;

class LayerByLayer : public testing::Test {
 protected:
  static constexpr uint32_t kContext = 64;

  void SetUp() override {
    LoadOptions options;
    options.session.max_context = kContext;
    options.session.max_outputs = kContext;
    auto loaded = load(default_model_folder(), options);
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    loaded_ = std::move(*loaded);
    source_ = loaded_->model.source;
    plan_ = uniform_plan(graph(), "cpu", *find_scheme("f32"));
    auto device = open_cpu(options, false);
    ASSERT_TRUE(device.ok()) << device.status().message();
    device_ = *device;
  }

  const Graph& graph() const { return loaded_->session->graph(); }

  std::unique_ptr<LayerRunner> runner(int32_t layer,
                                      const std::vector<uint32_t>& observed) {
    auto made = LayerRunner::create({graph(), plan_, source_, device_}, layer,
                                    observed, {128, 4, kContext});
    EXPECT_TRUE(made.ok()) << made.status().message();
    return std::move(*made);
  }

  // The logits of all tokens, passing every layer's results on by hand.
  std::vector<float> logits(const Texts& texts) {
    const std::vector<std::span<const int32_t>> spans(texts.begin(),
                                                      texts.end());
    std::vector<int32_t> layers = {kBeforeLayers};
    for (uint32_t i = 0; i < graph().num_layers; ++i) {
      layers.push_back(static_cast<int32_t>(i));
    }
    layers.push_back(kAfterLayers);
    std::vector<std::vector<float>> kept(graph().tensors.size());
    for (const int32_t layer : layers) {
      auto part = runner(layer, {});
      std::vector<LayerTensor> inputs;
      for (const uint32_t id : part->inputs()) inputs.push_back({id, kept[id]});
      const Status status = part->run(spans, inputs);
      EXPECT_TRUE(status.ok()) << status.message();
      for (uint32_t id = 0; id < graph().tensors.size(); ++id) {
        const auto output = part->output(id);
        if (output.ok()) kept[id].assign(output->begin(), output->end());
      }
    }
    return kept[graph().logits];
  }

  std::vector<float> whole(const std::vector<int32_t>& text) {
    Session& session = *loaded_->session;
    const uint32_t sequence = *session.open_sequence();
    const Feed feed{sequence, text, TSR_PREFILL,
                    static_cast<uint32_t>(text.size())};
    EXPECT_TRUE(session.step({&feed, 1}).ok());
    const auto first = session.logits(0, 0);
    std::vector<float> all(first.data(),
                           first.data() + text.size() * first.size());
    session.close_sequence(sequence);
    return all;
  }

  std::unique_ptr<LoadedModel> loaded_;
  WeightSource source_;
  Plan plan_;
  std::shared_ptr<Device> device_;
};

TEST_F(LayerByLayer, OneTextGivesTheBitsOfTheWholeModel) {
  const std::vector<int32_t> text = loaded_->encode("library for reading text");
  EXPECT_EQ(logits({text}), whole(text));
}

// The rows of another text change the order of sums, but not what is summed.
TEST_F(LayerByLayer, TextsDoNotSeeEachOther) {
  const std::vector<int32_t> a = loaded_->encode("library for reading text");
  const std::vector<int32_t> b = loaded_->encode("a game");
  const std::vector<float> together = logits({a, b, a});
  std::vector<float> apart = whole(a);
  for (const auto& text : {b, a}) {
    const std::vector<float> more = whole(text);
    apart.insert(apart.end(), more.begin(), more.end());
  }
  ASSERT_EQ(together.size(), apart.size());
  for (size_t i = 0; i < apart.size(); ++i) {
    ASSERT_NEAR(together[i], apart[i], 1e-3) << i;
  }
}

TEST_F(LayerByLayer, ShowsWhatIsObserved) {
  uint32_t normed = TSR_NONE;
  for (const GraphOp& op : graph().ops) {
    if (op.layer != 1) continue;
    if (const auto* linear = std::get_if<tsr_op_linear>(&op.body)) {
      normed = linear->x;
      break;
    }
  }
  const std::vector<int32_t> text = {1, 2, 3};
  const std::span<const int32_t> span = text;
  auto embedding = runner(kBeforeLayers, {});
  ASSERT_TRUE(embedding->run({&span, 1}, {}).ok());
  auto layer = runner(1, {normed});
  ASSERT_EQ(layer->inputs().size(), 1u);
  std::vector<float> ones(3 * 256, 1.0f);
  const uint64_t hidden = graph().tensors[layer->inputs()[0]].dims[1].max;
  ones.resize(3 * hidden, 1.0f);
  const LayerTensor input{layer->inputs()[0], ones};
  ASSERT_TRUE(layer->run({&span, 1}, {&input, 1}).ok());
  const auto seen = layer->output(normed);
  ASSERT_TRUE(seen.ok()) << seen.status().message();
  EXPECT_EQ(seen->size(), ones.size());
  EXPECT_EQ(layer->output(graph().logits).status().code(), TSR_NOT_FOUND);
}

TEST_F(LayerByLayer, RefusesWhatItHasNoRoomFor) {
  auto part = runner(kBeforeLayers, {});
  const std::vector<int32_t> text(kContext + 1, 0);
  const std::span<const int32_t> span = text;
  EXPECT_EQ(part->run({&span, 1}, {}).code(), TSR_INVALID_ARGUMENT);
  EXPECT_EQ(part->run({}, {}).code(), TSR_INVALID_ARGUMENT);
  auto layer = runner(0, {});
  const std::span<const int32_t> some = span.first(4);
  EXPECT_EQ(layer->run({&some, 1}, {}).code(), TSR_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tessera::e2e
