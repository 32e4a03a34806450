// SPDX-License-Identifier: Apache-2.0
//
// Output of quantize and tune.

#include "framework/cli/json/output_shapes.hpp"

namespace tessera::cli {

std::vector<OutputShape> quantize_shapes() {
  return {
      {"quantize",
       OutputForm::kObject,
       "",
       {text("output"),
        text("format", "`msmodelslim`, `compressed-tensors` or `gguf`"),
        text("scheme"), count("bytes_in"),
        count("bytes_out", "all files of the output"),
        number("bits_per_weight", "all files of the output"),
        number("bits_per_weight_linears",
               "of the linears all planes, fallbacks counted"),
        count("peak_rss_bytes", "mapped files count as memory"),
        number("seconds"),
        count("resumed_layers",
              "that an earlier run of the same command had done"),
        list_of("warnings", "sentences", text("")),
        list_of("ignored", "what of a foreign recipe has no meaning here",
                text("")),
        list("layers", "the linears",
             {text("name"), text("scheme"),
              number("metric", "sensitivity, as the recipe measures it")
                  .or_null(),
              flag("fallback"), text("reason"), number("mae").or_null(),
              number("mse").or_null(), number("sqnr", "dB").or_null(),
              number("cosine").or_null(), count("bytes_in"), count("bytes_out"),
              number("bits_per_weight"), text("note")})}},
      {"tune",
       OutputForm::kObject,
       "",
       {text("scheme", "as asked"), number("max_kl", "as asked"),
        flag("met_on_select", "the tolerance held on the select split"),
        number("kl_select", "the mean there, in nats"),
        number("kl_report",
               "of the best recipe on the report split, scored once")
            .with_interval(),
        list_of("disable_names", "of the best recipe", text("")),
        count("calibration_tokens", "of the best recipe"),
        list("steps", "",
             {text("stage"), text("change"),
              number("kl_mean", "null for what this model cannot have")
                  .or_null(),
              number("gain").or_null(), flag("kept")})}}};
}

}  // namespace tessera::cli
