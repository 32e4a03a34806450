// SPDX-License-Identifier: Apache-2.0
//
// tessera/plugin.h - the C ABI between the framework (the host) and a plugin.
//
// A plugin is a shared library that exports one symbol, tsr_plugin_query_v1().
// It returns a constant header; the host alone compares versions, then asks the
// header's get_api() for the table of functions.  A plugin author writes no
// version code: tessera/plugin.hpp fills header and table.
//
// Conventions are those of tessera/types.h, and
//
//   Optional   A function left NULL, or past the table's struct_size, is filled
//              by the host with a stub that returns UNIMPLEMENTED (void ones do
//              nothing).  Those without the word "optional" must be there.
//   Host ids   Buffers, weights, programs, KV pools and timelines are named by
//              u64 ids that the host chooses, unique per device and never 0.
//   Threads    tsr_api and the capability functions: any thread, at any time.
//              tsr_device: any thread; the plugin locks.  tsr_queue and
//              tsr_packing: one thread at a time, save packing_slice.
//              Ids may be created on one thread and used on another.
//   Lifetime   An object outlives what was made from it: the library its
//              devices, a device its queues, buffers, weights, pools, programs
//              and timelines.  Destroying what a submission still borrows is an
//              error of the host's; a plugin may answer FAILED_PRECONDITION.
//              The host destroys in the opposite order, and never unloads a
//              library unless its header allows it.

#ifndef TSR_PLUGIN_H
#define TSR_PLUGIN_H

#include "tessera/ops.h"
#include "tessera/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define TSR_EXPORT __declspec(dllexport)
#else
#define TSR_EXPORT __attribute__((visibility("default")))
#endif

// ---- Host services ---------------------------------------------------------

// A timeline semaphore of the host's: 64 bytes of memory that both sides map,
// aligned to 64.  Values only grow.  Whoever stores a value stores status
// first, both with release order; readers acquire.  A failed timeline has
// status != 0 and value UINT64_MAX, so that every wait ends; the watchdog fails
// it likewise.  By value: never grows, the reserved bytes are what may change.
typedef struct tsr_timeline {
  uint64_t value;
  int32_t status;    // tsr_status of the failure; TSR_OK
  uint32_t waiters;  // the host's own
  uint8_t reserved[48];
} tsr_timeline;

typedef struct tsr_host tsr_host;

// What the host lends to a plugin, for as long as the library is loaded.
// Any thread.  `host` is the first argument of each.
typedef struct tsr_host_services {
  uint32_t struct_size;
  uint32_t num_threads;  // that parallel_for uses, the caller's included
  tsr_host* host;
  // A folder of the plugin's own for caches; it may be emptied at any time.
  // "" if there is none: do without.
  const char* cache_folder;
  const tsr_ext* next;

  void (*log)(tsr_host* host, uint32_t level, const char* message);

  // `alignment` is a power of two.  NULL if there is no memory.
  void* (*alloc)(tsr_host* host, uint64_t bytes, uint64_t alignment);
  void (*free)(tsr_host* host, void* memory);

  // Calls task(context, i) once for each i < num_tasks, on several threads, and
  // returns when all are done.  Tasks must not call parallel_for.
  void (*parallel_for)(tsr_host* host, uint32_t num_tasks,
                       void (*task)(void* context, uint32_t index),
                       void* context);

  // Raises `timeline` to `value`, or fails it if status != TSR_OK; wakes
  // waiters.
  void (*timeline_signal)(tsr_host* host, tsr_timeline* timeline,
                          uint64_t value, tsr_status status);
  // Returns when the value is reached: TSR_OK, or the status of its failure;
  // DEADLINE_EXCEEDED after timeout_ns (UINT64_MAX: never).
  tsr_status (*timeline_wait)(tsr_host* host, tsr_timeline* timeline,
                              uint64_t value, uint64_t timeout_ns);
} tsr_host_services;

// ---- What a plugin says about itself ---------------------------------------

enum {
  TSR_MEMORY_DEVICE = 1,        // fastest for the device
  TSR_MEMORY_HOST_VISIBLE = 2,  // buffer_map works
  TSR_MEMORY_COHERENT = 4,      // no flush or invalidate needed
  TSR_MEMORY_IMPORT_HOST = 8,   // buffer_import of a host pointer, no copy
};

// Handles a buffer can be exported as, or imported from.
enum {
  TSR_HANDLE_HOST_POINTER = 1,
  TSR_HANDLE_FD = 2,  // a file descriptor of shared memory
  TSR_HANDLE_DMA_BUF = 4,
};

typedef struct tsr_memory_kind {
  uint32_t struct_size;
  uint32_t flags;  // TSR_MEMORY_*
  uint64_t bytes;  // total; 0 if unknown
  uint64_t max_alloc_bytes;
  uint32_t alignment;  // of every allocation and import
  uint32_t handles;    // mask of TSR_HANDLE_*
} tsr_memory_kind;

enum { TSR_CLOCK_WALL = 1, TSR_CLOCK_SIMULATED = 2 };

enum {
  TSR_DEVICE_SUBMIT_BLOCKS =
      1,                       // queue_submit returns when the work is done;
                               // the host gives it a thread if it wants overlap
  TSR_DEVICE_OWN_THREADS = 2,  // makes threads beside the host's pool
};

// Readable without opening the device.
typedef struct tsr_device_info {
  uint32_t struct_size;
  uint32_t flags;       // TSR_DEVICE_*
  uint32_t health;      // a tsr_status: TSR_OK, or why it cannot be opened
  uint32_t clock;       // TSR_CLOCK_*
  char name[96];        // for people: "NVIDIA H200"
  char profile[32];     // names the device after the colon; "" for the index
  char driver[64];      // driver and version; part of the fingerprint
  char reason[128];     // explains health
  uint8_t uuid[16];     // same hardware, same UUID, under any plugin
  uint64_t compute_id;  // equal where cores are shared; 0 if unknown
  uint64_t memory_id;   // equal where memory is shared; 0 if unknown
  int32_t numa_node;    // -1 if unknown
  uint32_t max_queues;
  uint64_t memory_bytes;
  tsr_array memory_kinds;  // of tsr_memory_kind; an index names a kind
  tsr_array options;       // of tsr_option
  const tsr_ext* next;
} tsr_device_info;

enum { TSR_OPTION_TEXT = 0, TSR_OPTION_INTEGER = 1, TSR_OPTION_BOOLEAN = 2 };

// An option that device_open takes.
typedef struct tsr_option {
  uint32_t struct_size;
  uint32_t type;  // TSR_OPTION_*
  const char* key;
  const char* default_value;
  const char* help;
} tsr_option;

typedef struct tsr_option_value {
  uint32_t struct_size;
  uint32_t reserved;
  const char* key;
  const char* value;
} tsr_option_value;

enum {
  TSR_DETERMINISM_NONE = 0,      // may differ from run to run
  TSR_DETERMINISM_RUN = 1,       // the same on this device, at any thread count
  TSR_DETERMINISM_PORTABLE = 2,  // the same bits on every device
};

// How far a result may lie from the double-precision oracle; the kit holds the
// kernel to it.  gamma_n = n u / (1 - n u), u = 2^-24.
// Source: Higham, Accuracy and Stability, 2nd ed., section 3.1.
enum {
  TSR_ERROR_EXACT = 1,  // accumulators and codes bit for bit
  TSR_ERROR_DOT = 2,    // gamma_K |x| . |w|, then one rounding to the output
  TSR_ERROR_FLOAT = 3,  // small ops: 8 units in the last place of the output
  TSR_ERROR_HALF_PRODUCTS = 4,  // as DOT, with x and w rounded to 16 bit first
};

// One block for all of N or K, in the ranges of a tsr_plane_rule: {TSR_WHOLE,
// TSR_WHOLE, 0} admits that alone, {32, TSR_WHOLE, 32} multiples of 32 as well.
#define TSR_WHOLE UINT32_MAX

// A plane that a weight must, or may, have.  CODES needs a rule only if its
// dtype is not the format's own; a weight with any other plane that no rule
// names is refused.
typedef struct tsr_plane_rule {
  uint32_t struct_size;
  uint32_t role;      // TSR_PLANE_*
  uint32_t dtypes;    // mask of (1 << TSR_F32) ...
  uint32_t required;  // 0: may be absent
  tsr_range block_n;  // of the plane
  tsr_range block_k;  // group sizes
} tsr_plane_rule;

// bytes = fixed + per_m M + per_n N + per_k K + per_mn M N + per_mk M K, where
// M is max_tokens, and for attention N is heads x head_dim and K kv_len.  By
// value.
typedef struct tsr_workspace {
  uint64_t fixed;
  uint64_t per_m;
  uint64_t per_n;
  uint64_t per_k;
  uint64_t per_mn;
  uint64_t per_mk;
} tsr_workspace;

// One row of what a device can run, best first among those that run the same
// op.  A row with values that the reader does not know is skipped and reported.
// A mask of 0 admits nothing.  tessera/capability.hpp reads rows as the host
// does.
//
// M, N, K  linear: as in its formula; attention: tokens, num_q_heads x
//          head_dim, cached tokens; gather: rows of y, D, rows of the table;
//          the others: rows, and N the last dimension
typedef struct tsr_kernel_desc {
  uint32_t struct_size;
  uint32_t op;              // TSR_OP_*
  const char* name;         // unique in the device; also in traces
  uint32_t phases;          // mask of TSR_PREFILL, TSR_DECODE
  uint32_t determinism;     // TSR_DETERMINISM_*
  uint32_t error_class;     // TSR_ERROR_*
  uint32_t x_dtypes;        // mask; of every input that is not I32 or fixed F32
  uint32_t y_dtypes;        // mask
  uint32_t accumulator;     // TSR_F32 or TSR_I32
  uint32_t act_quants;      // mask of (1 << TSR_ACT_*)
  uint32_t weight_format;   // TSR_WEIGHT_*; 0 for ops without a weight
  tsr_array planes;         // of tsr_plane_rule
  uint32_t activations;     // mask of (1 << TSR_EPILOGUE_*)
  uint32_t fused_operands;  // mask of TSR_FUSES_*
  tsr_range M;
  tsr_range N;
  tsr_range K;
  // Attention and kv_append only
  uint32_t kv_formats;  // mask of (1 << TSR_KV_*)
  uint32_t masks;       // mask of (1 << TSR_MASK_*)
  tsr_range head_dim;
  tsr_range gqa_ratio;  // num_q_heads / num_kv_heads
  tsr_range block_size;
  tsr_workspace workspace;
  uint64_t layout;       // packed-weight layout it reads; 0: the raw planes
  uint32_t rope_styles;  // mask of (1 << TSR_ROPE_*); rope and kv_append
  uint32_t reserved;
  // Of const char*: record extensions of an op that it understands.  A row for
  // TSR_OP_EXTENSION names its op here.
  tsr_array extensions;
  const tsr_ext* next;
} tsr_kernel_desc;

enum {
  TSR_FUSES_BIAS = 1,
  TSR_FUSES_MULTIPLIER = 2,
  TSR_FUSES_RESIDUAL = 4,
  TSR_FUSES_ACCUMULATE = 8,
  TSR_FUSES_PARTIAL = 16,
  TSR_FUSES_N_RANGE = 32,
};

// ---- Cost ------------------------------------------------------------------

enum {
  TSR_COST_UNKNOWN = 0,
  TSR_COST_ROOFLINE = 1,   // from bytes, operations and nominal peaks
  TSR_COST_MEASURED = 2,   // from micro-benchmarks on this device
  TSR_COST_SIMULATED = 3,  // from a machine model
};

// The step that a cost is asked for.
typedef struct tsr_step_shape {
  uint32_t struct_size;
  uint32_t num_tokens;
  uint32_t num_seqs;
  uint32_t num_outputs;
  uint32_t seq_len;  // cached tokens of each sequence, this step's included
  uint32_t phase;    // TSR_PREFILL or TSR_DECODE
} tsr_step_shape;

typedef struct tsr_estimate {
  uint32_t struct_size;
  uint32_t source;  // TSR_COST_*
  uint32_t clock;   // TSR_CLOCK_*
  uint32_t reserved;
  uint64_t mean_ns;
  uint64_t p90_ns;
  uint64_t energy_nj;  // 0 if unknown
  uint64_t workspace_bytes;
} tsr_estimate;

// A question to an extension of a device.  The callee writes at most `capacity`
// bytes of its answer to `reply`, and its true size to reply_bytes.
typedef struct tsr_ask {
  uint32_t struct_size;
  uint32_t reserved;
  const char* extension;  // as a node of tsr_device_info.next is named
  const void* request;
  uint64_t request_bytes;
  void* reply;
  uint64_t capacity;
  uint64_t reply_bytes;
} tsr_ask;

// ---- Objects of a device ---------------------------------------------------

typedef struct tsr_device tsr_device;
typedef struct tsr_queue tsr_queue;
typedef struct tsr_packing tsr_packing;

typedef struct tsr_buffer_desc {
  uint32_t struct_size;
  uint32_t memory_kind;  // index into memory_kinds
  uint64_t id;
  uint64_t bytes;
  const tsr_ext* next;
} tsr_buffer_desc;

// What packing a weight would give.
typedef struct tsr_packed_info {
  uint32_t struct_size;
  uint32_t memory_kind;  // where the packed weight should lie
  uint64_t bytes;        // 0: the raw planes are used in place, and must stay
                         // readable until weight_destroy
  uint64_t layout;       // id; equal ids and versions may share one pack
  uint32_t layout_version;
  uint32_t alignment;
  uint32_t n_multiple;  // slices begin and end at multiples, or at N
  uint32_t keeps_raw;   // 1: raw planes are read after packing too
} tsr_packed_info;

typedef struct tsr_kv_info {
  uint32_t struct_size;
  uint32_t memory_kind;
  uint64_t block_bytes;  // of one block of one layer, K and V
  uint64_t layout;       // 0: the canonical one
  uint32_t alignment;
  uint32_t reserved;
} tsr_kv_info;

typedef struct tsr_program_info {
  uint32_t struct_size;
  uint32_t num_segments;     // kernels per step
  uint64_t workspace_bytes;  // held by the program, transients included
} tsr_program_info;

// A kernel that ran.  A reader leaves out names past what it has room for.
typedef struct tsr_kernel_record {
  uint32_t struct_size;
  uint32_t first_op;
  uint32_t num_ops;
  uint32_t clock;  // TSR_CLOCK_*
  uint64_t program;
  uint64_t begin_ns;
  uint64_t end_ns;
  uint64_t energy_nj;  // 0 if unknown
  char kernel[64];
  char counter_name[4][16];  // "" where unused: "dram_bytes"
  uint64_t counter[4];
} tsr_kernel_record;

// ---- The table -------------------------------------------------------------

typedef struct tsr_api {
  uint32_t struct_size;
  uint32_t reserved;

  // -- Readable without opening a device; constant while the library is loaded.

  // Stores the number of devices, unhealthy ones included; 0 is not an error.
  tsr_status (*device_count)(tsr_error* err, uint32_t* out_count);
  // Errors: INVALID_ARGUMENT if index >= count.
  tsr_status (*device_info)(uint32_t index, tsr_error* err,
                            tsr_device_info* out_info);
  // Stores an array of tsr_kernel_desc.
  tsr_status (*device_kernels)(uint32_t index, tsr_error* err,
                               tsr_array* out_kernels);

  // -- Devices.  `options` is of tsr_option_value.  Caller closes.
  // Errors: INVALID_ARGUMENT for an unknown option or value;
  //         UNAVAILABLE if the device went away.
  tsr_status (*device_open)(uint32_t index, const tsr_array* options,
                            tsr_error* err, tsr_device** out_device);
  void (*device_close)(tsr_device* device);

  // Fills one tsr_refusal per op that cannot run, at most `capacity`, each of
  // stride `stride`; `out_count` is their true number.  TSR_OK if it is 0, else
  // UNIMPLEMENTED.  The program's objects need not exist, save its weights' and
  // pools' descriptions, given in the program's order (of tsr_weight_desc, of
  // tsr_kv_desc).
  tsr_status (*check)(tsr_device* device, const tsr_program_desc* program,
                      const tsr_array* weights, const tsr_array* kv_pools,
                      tsr_error* err, tsr_refusal* out_refusals,
                      uint32_t capacity, uint32_t stride, uint32_t* out_count);
  // Optional.  What one step of `program` would cost.
  tsr_status (*estimate)(tsr_device* device, const tsr_program_desc* program,
                         const tsr_array* weights, const tsr_array* kv_pools,
                         const tsr_step_shape* step, tsr_error* err,
                         tsr_estimate* out_estimate);

  // -- Buffers.
  tsr_status (*buffer_create)(tsr_device* device, const tsr_buffer_desc* desc,
                              tsr_error* err);
  // Optional.  Uses memory that the host owns and keeps alive.  `handle_type`
  // is one TSR_HANDLE_*; `handle` the pointer, or the descriptor as an integer.
  tsr_status (*buffer_import)(tsr_device* device, const tsr_buffer_desc* desc,
                              uint32_t handle_type, uint64_t handle,
                              tsr_error* err);
  // Optional.  The other way round; the handle lives as long as the buffer.
  tsr_status (*buffer_export)(tsr_device* device, uint64_t buffer,
                              uint32_t handle_type, tsr_error* err,
                              uint64_t* out_handle);
  // The host's address of a HOST_VISIBLE buffer, valid until it is destroyed.
  tsr_status (*buffer_map)(tsr_device* device, uint64_t buffer, tsr_error* err,
                           void** out_memory);
  // Optional; for memory that is not COHERENT.  flush: the device sees what the
  // host wrote.  invalidate: the host sees what the device wrote.
  tsr_status (*buffer_flush)(tsr_device* device, uint64_t buffer,
                             uint64_t offset, uint64_t bytes, tsr_error* err);
  tsr_status (*buffer_invalidate)(tsr_device* device, uint64_t buffer,
                                  uint64_t offset, uint64_t bytes,
                                  tsr_error* err);
  void (*buffer_destroy)(tsr_device* device, uint64_t buffer);

  // -- Weights.  A transaction of the host's: query, create a buffer, begin,
  // slices, end.  Desc planes carry data only where this says so.
  tsr_status (*weight_query)(tsr_device* device, const tsr_weight_desc* desc,
                             tsr_error* err, tsr_packed_info* out_info);
  // Starts packing into buffer at offset.  Small planes (all but CODES, SCALE,
  // ZERO_POINT, MIN) carry data.  Caller ends it.
  tsr_status (*packing_begin)(tsr_device* device, uint64_t weight,
                              const tsr_weight_desc* desc, uint64_t buffer,
                              uint64_t offset, tsr_error* err,
                              tsr_packing** out_packing);
  // Packs rows n_begin .. n_end - 1.  The planes' data point at row n_begin.
  // Disjoint slices may be packed from several threads at once.
  tsr_status (*packing_slice)(tsr_packing* packing, uint32_t n_begin,
                              uint32_t n_end, const tsr_weight_desc* slice,
                              tsr_error* err);
  // Ends the transaction: the weight exists if `commit` is 1 and all rows are
  // packed; nothing remains if it is 0.
  tsr_status (*packing_end)(tsr_packing* packing, uint32_t commit,
                            tsr_error* err);
  // Makes the weight from bytes packed before under the same layout and
  // version, or, where weight_query says 0 bytes, from the raw planes in `desc`
  // (buffer 0).  Small planes carry data.
  tsr_status (*weight_create)(tsr_device* device, uint64_t weight,
                              const tsr_weight_desc* desc, uint64_t buffer,
                              uint64_t offset, tsr_error* err);
  void (*weight_destroy)(tsr_device* device, uint64_t weight);

  // -- KV pools.  Optional for plugins without attention.
  tsr_status (*kv_query)(tsr_device* device, const tsr_kv_desc* desc,
                         tsr_error* err, tsr_kv_info* out_info);
  // num_blocks * block_bytes from `offset` of `buffer`.
  tsr_status (*kv_create)(tsr_device* device, uint64_t pool,
                          const tsr_kv_desc* desc, uint64_t buffer,
                          uint64_t offset, tsr_error* err);
  void (*kv_destroy)(tsr_device* device, uint64_t pool);

  // -- Programs.  Everything named in `program` must exist.
  // Errors: INVALID_ARGUMENT for a malformed record;
  //         UNIMPLEMENTED as `check` says.
  tsr_status (*program_create)(tsr_device* device,
                               const tsr_program_desc* program, tsr_error* err,
                               tsr_program_info* out_info);
  // Stores segment `index`: which ops one kernel covers.
  tsr_status (*program_segment)(tsr_device* device, uint64_t program,
                                uint32_t index, tsr_error* err,
                                tsr_segment* out_segment);
  void (*program_destroy)(tsr_device* device, uint64_t program);

  // -- Time.  `timeline` stays mapped until it is forgotten.
  tsr_status (*timeline_import)(tsr_device* device, uint64_t id,
                                tsr_timeline* timeline, tsr_error* err);
  void (*timeline_forget)(tsr_device* device, uint64_t id);

  // -- Queues run in order.  Caller destroys.
  tsr_status (*queue_create)(tsr_device* device, tsr_error* err,
                             tsr_queue** out_queue);
  // Refuses a malformed record at once; a failure of the work itself goes to
  // the signal points.
  tsr_status (*queue_submit)(tsr_queue* queue, const tsr_submission* submission,
                             tsr_error* err);
  void (*queue_destroy)(tsr_queue* queue);

  // Optional.  Moves at most `capacity` records of profiled submissions that
  // are finished, oldest first, to out_records (stride bytes apart).
  tsr_status (*profile_read)(tsr_device* device, tsr_error* err,
                             tsr_kernel_record* out_records, uint32_t capacity,
                             uint32_t stride, uint32_t* out_count);
  // Optional.  What the last failure on this device was, in full.
  tsr_status (*device_last_error)(tsr_device* device, tsr_error* out_error);
  // Optional.  Asks what only an extension defines: its header says what the
  // bytes of request and reply are.
  // Errors: UNIMPLEMENTED for an extension the device does not name.
  tsr_status (*device_ask)(tsr_device* device, tsr_ask* ask, tsr_error* err);
} tsr_api;

// ---- The header ------------------------------------------------------------

enum {
  TSR_SANITIZER_NONE = 0,
  TSR_SANITIZER_ADDRESS = 1,  // a host with another sanitizer refuses it
  TSR_SANITIZER_THREAD = 2,
  TSR_SANITIZER_MEMORY = 3,
};

enum {
  TSR_PLUGIN_UNLOADABLE = 1,  // dlclose is safe once devices are closed
  // Makes one more device for each string in tsr_requested_devices
  // (tessera/requests.h), in their order, after those it has otherwise.  One
  // that it cannot make is there as well; its health and reason say why.
  TSR_PLUGIN_TAKES_REQUESTS = 2,
};

// Constant; lives as long as the library.
typedef struct tsr_plugin_header {
  uint32_t struct_size;
  uint32_t abi_min;  // versions it can speak, (major << 16) | minor
  uint32_t abi_max;
  uint32_t sanitizer;  // TSR_SANITIZER_*
  uint32_t flags;      // TSR_PLUGIN_*
  uint32_t reserved;
  const char* name;      // "vulkan"
  const char* version;   // of the plugin
  const char* build_id;  // changes with every build that may behave otherwise
  // Hands over the table for exactly the version the host chose, which lies in
  // the range above.  `services` stays valid while the library is loaded.
  // Called once.
  tsr_status (*get_api)(uint32_t abi_version, const tsr_host_services* services,
                        tsr_error* err, const tsr_api** out_api);
} tsr_plugin_header;

// The one exported symbol of a plugin.  Does nothing but return its header.
typedef const tsr_plugin_header* (*tsr_plugin_query_fn)(void);
TSR_EXPORT const tsr_plugin_header* tsr_plugin_query_v1(void);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TSR_PLUGIN_H
