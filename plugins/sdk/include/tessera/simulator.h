// SPDX-License-Identifier: Apache-2.0
//
// tessera/simulator.h - draft extension "dev.tessera.simulator": times one
// problem on a machine model, without computing its data.
//
// A device that has it chains the node below to tsr_device_info.next and
// answers tsr_api.device_ask.  Request and reply are JSON objects in UTF-8,
// without a NUL.  Keys that are left out have the value in brackets; keys that
// the plugin does not know are an error.
//
//   request
//     op         "linear", "grouped_linear", "add", "copy", "attention",
//                "validate" or "profile"
//     cores      cube cores, or vector cores for add and copy [0: all]
//     trace csv svg listing
//                paths to write: a Chrome trace, a folder of tables, a picture,
//                the instructions [none]
//     linear     M N K, scheme ["w16a16"], out ["f16"], weights "nd" or "nz"
//                ["nz"], transpose_a [false], transpose_b [true: W is [N, K]],
//                group_size [0], compression [1]
//                tile_m tile_n tile_k packet_k split_k swizzle wide_n [0:
//                searched]
//                double_buffer [true]
//     grouped_linear
//                as linear, with rows: [M of each group] for M
//     add        rows columns, type ["f16"], bank_conflicts [false]
//     copy       rows columns, tile_rows tile_columns [0: searched], type
//                ["f16"], target "ub" or "l1" ["ub"], nd_to_nz [false],
//                repeats [1]
//     attention  q_lens seq_lens (arrays), heads kv_heads head_dim, v_dim
//                [head_dim], v_in_k [false], causal [true], window [0],
//                block_size [128], kv "f16", "bf16", "int8" or "fa3" ["f16"]
//     validate   rows: path of a file with further rows [none]
//     profile    nothing; replies profile, fixpipe, numerics ("hw" or "ref"),
//                half_products: float linears and attention multiply 16-bit
//                floats, portable_ops: small ops are the portable ones
//
//   reply, of all but validate and profile
//     profile kernel cycles time_ns launch_ns cores instructions operations
//     canonical_bytes
//     pipes      {name: {busy_cycles utilisation}}, means over the cores that
//                have the pipe; where cube cores and vector cores work together
//                mte2 is the former's, vector_mte2 the latter's
//     bytes      {dram_read dram_write l2_read l2_write l1_read l1_write l0 ub
//                unzip}, l2_hit_rate
//     cube_utilisation     of the cube's peak for the type
//     vendor_utilisation   of the peak as sold
//     energy     {low mid high static_mid} in J, note: "estimate"
//     tiling     of products
//     estimate_ns          what the analytic model says
//     limit_ns limit_kind  the longer of canonical bytes over DRAM bandwidth
//     and
//                operations over the cube's peak: "memory" or "compute"
//     files      {kind: path} of what was written

#ifndef TSR_SIMULATOR_H
#define TSR_SIMULATOR_H

#include "tessera/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TSR_SIMULATOR_NAME "dev.tessera.simulator"

typedef struct tsr_simulator {
  tsr_ext ext;
  uint32_t version;  // of the keys; 1
  uint32_t reserved;
} tsr_simulator;

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TSR_SIMULATOR_H
