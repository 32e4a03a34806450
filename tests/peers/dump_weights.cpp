// SPDX-License-Identifier: Apache-2.0
//
// dump_weights MODEL OUT.safetensors: every tensor that a model needs, as the
// values that Tessera reads it as, in F32.

#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "framework/format/element.hpp"
#include "framework/model/model.hpp"
#include "framework/model/safetensors_writer.hpp"
#include "framework/model/tensor_names.hpp"

namespace tessera {
namespace {

Result<std::vector<float>> read_floats(const WeightSource& source,
                                       const TensorSpec& spec) {
  TSR_ASSIGN_OR_RETURN(const SourceTensor tensor, source.tensor(spec.name));
  uint64_t count = 1;
  for (const uint64_t extent : spec.shape) count *= extent;
  std::vector<float> values(count);
  for (uint64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(
        format::element_value(tensor.dtype, tensor.bytes.data(), i));
  }
  return values;
}

Status dump(const std::string& model_path, const std::string& out) {
  TSR_ASSIGN_OR_RETURN(const Model model, open_model(model_path));
  std::vector<PlannedTensor> plans;
  for (const TensorSpec& spec : required_tensors(model.config)) {
    plans.push_back({spec.name, TSR_F32, spec.shape});
  }
  plans = file_order(std::move(plans));
  TSR_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                       SafetensorsWriter::create(out, plans));
  for (const PlannedTensor& plan : plans) {
    TSR_ASSIGN_OR_RETURN(const std::vector<float> values,
                         read_floats(model.source, {plan.name, plan.shape}));
    TSR_RETURN_IF_ERROR(writer.append(std::as_bytes(std::span(values))));
  }
  return writer.finish();
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: dump_weights MODEL OUT.safetensors\n", stderr);
    return 2;
  }
  const tessera::Status status = tessera::dump(argv[1], argv[2]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return 1;
}
