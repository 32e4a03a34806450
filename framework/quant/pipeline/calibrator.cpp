// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/pipeline/calibrator.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::quant {
namespace {

// Tokens of one run: enough for the matrix products to be efficient.
constexpr uint64_t kBatchTokens = 2048;
constexpr size_t kBatchTexts = 64;

Status add_rows(std::span<const float> rows, uint64_t K, uint64_t first_row,
                uint64_t stride, CapturedInput* input, const ParallelFor& run) {
  TSR_RETURN_IF_ERROR(input->observer.add(rows));
  TSR_RETURN_IF_ERROR(input->statistics.add(rows, run));
  if (stride == 0) return {};
  const uint64_t count = rows.size() / K;
  for (uint64_t i = 0; i < count; ++i) {
    if ((first_row + i) % stride != 0) continue;
    const auto row = rows.subspan(i * K, K);
    input->rows.insert(input->rows.end(), row.begin(), row.end());
  }
  return {};
}

}  // namespace

CapturedInput& LayerCapture::input_of(uint32_t weight) {
  const auto found =
      std::find_if(readers_.begin(), readers_.end(),
                   [weight](const Reader& r) { return r.weight == weight; });
  return inputs_[found->input];
}

Calibrator::Calibrator(const Graph& graph, std::shared_ptr<Device> device,
                       const Scheme& scheme,
                       std::vector<std::vector<int32_t>> texts)
    : graph_(&graph),
      device_(std::move(device)),
      plan_(uniform_plan(graph, device_->name(), scheme)),
      texts_(std::move(texts)) {}

Result<Calibrator> Calibrator::create(const Graph& graph,
                                      std::shared_ptr<Device> device,
                                      const Scheme& scheme,
                                      std::vector<std::vector<int32_t>> texts) {
  std::erase_if(texts, [](const auto& text) { return text.empty(); });
  if (texts.empty()) {
    return Status(TSR_INVALID_ARGUMENT, "the calibration text is empty");
  }
  Calibrator calibrator(graph, std::move(device), scheme, std::move(texts));
  calibrator.cut_batches();
  return calibrator;
}

void Calibrator::cut_batches() {
  Batch batch{0, 0, 0, 0};
  for (size_t i = 0; i < texts_.size(); ++i) {
    const uint64_t length = texts_[i].size();
    const bool full = batch.num_rows + length > kBatchTokens ||
                      batch.last - batch.first == kBatchTexts;
    if (full && batch.num_rows > 0) {
      batches_.push_back(batch);
      batch = {i, i, num_tokens_, 0};
    }
    batch.last = i + 1;
    batch.num_rows += length;
    num_tokens_ += length;
    longest_ = std::max(longest_, static_cast<uint32_t>(length));
  }
  batches_.push_back(batch);
}

Result<std::unique_ptr<LayerRunner>> Calibrator::open(
    int32_t layer, const WeightSource& source,
    const std::vector<uint32_t>& observed) const {
  LayerRunnerOptions options;
  options.max_tokens = std::max(static_cast<uint32_t>(kBatchTokens), longest_);
  options.max_texts = kBatchTexts;
  options.max_context = longest_;
  return LayerRunner::create({*graph_, plan_, source, device_}, layer, observed,
                             options);
}

Status Calibrator::run_batch(LayerRunner& runner, const Batch& batch,
                             uint32_t input) const {
  std::vector<std::span<const int32_t>> texts(
      texts_.begin() + static_cast<int64_t>(batch.first),
      texts_.begin() + static_cast<int64_t>(batch.last));
  const LayerTensor hidden{
      input, std::span(hidden_).subspan(
                 input == TSR_NONE ? 0 : batch.row * hidden_size_,
                 input == TSR_NONE ? 0 : batch.num_rows * hidden_size_)};
  return runner.run(texts, {&hidden, 1});
}

Status Calibrator::embed(const WeightSource& source) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<LayerRunner> runner,
                       open(kBeforeLayers, source, {}));
  // The last op before the layers writes what comes into the first.
  for (const GraphOp& op : graph_->ops) {
    if (op.layer != kBeforeLayers) break;
    hidden_tensor_ = op_tensors(op.body).writes.front();
  }
  hidden_size_ = graph_->tensors[hidden_tensor_].dims.back().max;
  hidden_.resize(num_tokens_ * hidden_size_);
  for (const Batch& batch : batches_) {
    TSR_RETURN_IF_ERROR(run_batch(*runner, batch, TSR_NONE));
    TSR_ASSIGN_OR_RETURN(const auto rows, runner->output(hidden_tensor_));
    std::copy(rows.begin(), rows.end(),
              hidden_.data() + batch.row * hidden_size_);
  }
  return {};
}

Status Calibrator::resume(uint32_t layer, std::vector<float> hidden) {
  hidden_tensor_ = output_of(layer - 1);
  hidden_size_ = graph_->tensors[hidden_tensor_].dims.back().max;
  if (hidden.size() != num_tokens_ * hidden_size_) {
    return {TSR_DATA_LOSS,
            fmt::format("{} hidden states of an earlier run, not {} x {}",
                        hidden.size(), num_tokens_, hidden_size_)};
  }
  hidden_ = std::move(hidden);
  return {};
}

// What the layer's last op writes.
uint32_t Calibrator::output_of(uint32_t layer) const {
  uint32_t written = TSR_NONE;
  for (const GraphOp& op : graph_->ops) {
    if (op.layer != static_cast<int32_t>(layer)) continue;
    const OpTensors ids = op_tensors(op.body);
    if (!ids.writes.empty()) written = ids.writes.front();
  }
  return written;
}

// Which tensors the layer's linears read, with empty statistics.
LayerCapture Calibrator::prepare(uint32_t layer) const {
  LayerCapture capture;
  for (const GraphOp& op : graph_->ops) {
    const auto* linear = std::get_if<tsr_op_linear>(&op.body);
    if (op.layer != static_cast<int32_t>(layer) || linear == nullptr) continue;
    const auto found =
        std::find(capture.tensors_.begin(), capture.tensors_.end(), linear->x);
    capture.readers_.push_back(
        {linear->weight,
         static_cast<size_t>(found - capture.tensors_.begin())});
    if (found == capture.tensors_.end()) capture.tensors_.push_back(linear->x);
  }
  return capture;
}

Result<LayerCapture> Calibrator::capture(uint32_t layer,
                                         const WeightSource& source,
                                         const CaptureOptions& options,
                                         const ParallelFor& run) {
  LayerCapture capture = prepare(layer);
  for (size_t i = 0; i < capture.tensors_.size(); ++i) {
    const auto reader =
        std::find_if(capture.readers_.begin(), capture.readers_.end(),
                     [i](const auto& r) { return r.input == i; });
    TSR_ASSIGN_OR_RETURN(
        InputStatistics statistics,
        InputStatistics::create(graph_->weights[reader->weight].K,
                                options.with_hessian));
    capture.inputs_.push_back({{}, std::move(statistics), {}});
  }
  TSR_ASSIGN_OR_RETURN(
      const std::unique_ptr<LayerRunner> runner,
      open(static_cast<int32_t>(layer), source, capture.tensors_));
  const uint64_t stride =
      options.max_rows == 0
          ? 0
          : (num_tokens_ + options.max_rows - 1) / options.max_rows;
  for (const Batch& batch : batches_) {
    TSR_RETURN_IF_ERROR(run_batch(*runner, batch, hidden_tensor_));
    for (size_t i = 0; i < capture.tensors_.size(); ++i) {
      TSR_ASSIGN_OR_RETURN(const auto rows,
                           runner->output(capture.tensors_[i]));
      CapturedInput& input = capture.inputs_[i];
      TSR_RETURN_IF_ERROR(
          add_rows(rows, input.statistics.K(), batch.row, stride, &input, run)
              .annotate(graph_->tensors[capture.tensors_[i]].name));
    }
  }
  return capture;
}

Status Calibrator::advance(uint32_t layer, const WeightSource& source,
                           AttentionObserver* attention) {
  const AttentionInputs observed = attention_inputs(*graph_, layer);
  std::vector<uint32_t> tensors;
  if (attention != nullptr) tensors = {observed.q, observed.k, observed.v};
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<LayerRunner> runner,
                       open(static_cast<int32_t>(layer), source, tensors));
  const uint32_t written = output_of(layer);
  for (const Batch& batch : batches_) {
    TSR_RETURN_IF_ERROR(run_batch(*runner, batch, hidden_tensor_));
    TSR_ASSIGN_OR_RETURN(const auto rows, runner->output(written));
    std::copy(rows.begin(), rows.end(),
              hidden_.data() + batch.row * hidden_size_);
    if (attention == nullptr) continue;
    TSR_ASSIGN_OR_RETURN(const auto q, runner->output(observed.q));
    TSR_ASSIGN_OR_RETURN(const auto k, runner->output(observed.k));
    TSR_ASSIGN_OR_RETURN(const auto v, runner->output(observed.v));
    TSR_RETURN_IF_ERROR(attention->add(q, k, v));
  }
  hidden_tensor_ = written;
  return {};
}

}  // namespace tessera::quant
