// SPDX-License-Identifier: Apache-2.0
//
// The kit catches every faulty plugin and names its fault; good plugins pass.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "framework/conformance/kit/running/runner.hpp"

namespace tessera::conformance {
namespace {

// A fault, and which case must be the first to fail.
struct Fault {
  const char* name;
  const char* pattern;
};

// Switches of plugins/faulty/mutant.
constexpr Fault kMutants[] = {
    // Contract
    {"query_crashes", "L0/load"},
    {"no_version", "L0/load"},
    {"devices_come_and_go", "L0/*"},
    {"two_devices_of_a_name", "L0/devices"},
    {"device_without_a_name", "L0/devices"},
    {"clock_of_neither_kind", "L0/devices"},
    {"no_queues", "L0/devices"},
    {"device_index_unchecked", "L0/devices"},
    {"memory_not_visible", "L0/memory_kinds"},
    {"odd_alignment", "L0/memory_kinds"},
    {"two_rows_of_a_name", "L0/kernel_rows"},
    {"row_without_a_name", "L0/kernel_rows"},
    {"empty_range", "L0/kernel_rows"},
    {"row_of_no_phase", "L0/kernel_rows"},
    {"claims_an_unknown_class", "L0/kernel_rows"},
    {"takes_any_option", "L0/options"},
    {"fails_without_a_message", "L0/struct_sizes/error"},
    {"writes_a_whole_error", "L0/struct_sizes/error"},
    {"error_must_be_there", "L0/struct_sizes/error"},
    {"new_structs_refused", "L0/struct_sizes/buffer_desc"},
    {"reads_past_struct_size", "L0/struct_sizes/buffer_desc"},
    {"extensions_unread", "L0/extensions"},
    {"extensions_refused", "L0/extensions"},
    {"understands_everything", "L0/extensions"},
    {"stays_loaded", "L0/unload_100"},
    {"tensor_stride_assumed", "L0/records/newer/*"},
    {"program_head_assumed", "L0/records/older/*"},
    {"submission_head_assumed", "L0/records/older/*"},
    {"program_extensions_unread", "L0/extensions/must_understand/*"},
    {"submission_extensions_unread", "L0/extensions/must_understand/*"},
    {"refusal_stride_assumed", "L0/struct_sizes/refusals/*"},
    {"writes_whole_program_info", "L0/struct_sizes/out/*"},
    {"writes_whole_packed_info", "L0/struct_sizes/out/*"},
    // Claims
    {"claims_what_is_not_there", "L1/gelu/*"},
    {"accepts_everything", "L1/refuse/*"},
    {"refuses_what_it_claims", "L1/linear_*_bias*"},
    {"refuses_without_reason", "L1/refuse/*"},
    {"refuses_without_field", "L1/refuse/*"},
    {"refuses_the_wrong_op", "L1/refuse/*"},
    {"creates_what_it_refuses", "L1/refuse/*"},
    // Linear
    {"last_group_dropped", "L1/linear_u4/*"},
    {"scale_sign_lost", "L1/linear_i8/*_codes*"},
    {"last_zero_point_lost", "L1/linear_u4/*_asym*"},
    {"residual_has_the_stride_of_y", "L1/linear_*residual_strided*"},
    {"residual_of_column", "L1/linear_*residual_nrange*"},
    {"sizes_never_shrink", "L2/queue/shrink_and_grow"},
    {"decode_tokens_of_first_step", "L1/changing_steps/*"},
    {"replays_with_sizes_of_last_step", "L1/changing_sizes/*"},
    {"view_offset_ignored", "L1/*"},
    {"packed_offset_ignored", "L1/packed_again/*"},
    {"segments_count_from_one", "L1/segments/*"},
    {"segments_of_nothing", "L1/segments/*"},
    {"segments_without_a_name", "L1/segments/*"},
    {"exports_another_address", "L1/exports"},
    {"exports_anything", "L1/exports"},
    {"exports_a_closed_descriptor", "L1/descriptors"},
    {"exports_other_memory", "L1/descriptors"},
    {"imports_no_descriptors", "L1/descriptors"},
    {"import_is_a_copy", "L1/descriptors"},
    {"imports_short_descriptors", "L1/descriptors"},
    {"imports_from_the_second_page", "L1/descriptors"},
    {"zero_point_ignored", "L1/linear_u4/*_asym*"},
    {"nibbles_swapped", "L1/linear_u4/*"},
    {"codes_read_signed", "L1/linear_u4/*"},
    {"scale_of_first_group", "L1/linear_u4/*"},
    {"scale_of_next_row", "L1/linear_*"},
    {"scale_of_last_odd_group_lost", "L1/linear_u4/*"},
    {"wide_tail_lost", "L1/linear_*_N1037_*"},
    {"half_of_the_rows_are_ok", "L1/linear_*"},
    {"threads_share_a_row", "L1/linear_*"},
    {"bias_after_activation", "L1/linear_*bias*"},
    {"bias_of_column", "L1/linear_*"},
    {"multiplies_before_activation", "L1/linear_*multiplier*"},
    {"residual_dropped", "L1/linear_*residual*"},
    {"saturation_missing", "L1/linear_i8/*static*"},
    {"rounds_half_away", "L1/linear_i8/*_ties*"},
    {"act_zero_point_ignored", "L1/linear_i8/*_zp*"},
    {"mix_all_static", "L1/linear_i8/*mix*"},
    {"mix_all_dynamic", "L1/linear_i8/*mix*"},
    {"accumulates_in_16_bits", "L1/linear_i8/*"},
    {"n_range_ignored", "L1/linear_*nrange*"},
    {"accumulate_overwrites", "L1/linear_*accumulate*"},
    {"last_row_skipped", "L1/linear_*"},
    {"tail_dropped", "L1/linear_*"},
    {"nan_swallowed", "L1/*"},
    {"bf16_truncates", "L1/*bf16*"},
    {"stride_ignored", "L1/linear_*_strided*"},
    {"tiny_rows_scaled", "L1/linear_i8/*_extreme*"},
    {"sums_in_half", "L1/linear_*"},
    {"race", "L1/linear_*"},
    {"packed_size_too_small", "L1/linear_*"},
    {"amax_of_whole_vectors", "L1/linear_i8/*dynamic*"},
    {"rounds_before_epilogue", "L1/linear_*y.bf16_bias*"},
    // Attention and KV
    {"mask_off_by_one", "L1/attention/*"},
    {"window_off_by_one", "L1/attention/*sliding*"},
    {"full_mask_is_causal", "L1/attention/*full*"},
    {"gqa_head_modulo", "L1/attention/*"},
    {"block_table_ignored", "L1/attention/*"},
    {"block_table_of_first_sequence", "L1/attention/*"},
    {"block_size_assumed", "L1/attention/*"},
    {"block_table_without_gaps", "L1/attention/*"},
    {"softmax_scale_assumed", "L1/attention/*_scaled"},
    {"end_of_block_not_stored", "L1/kv_append/*"},
    {"reads_past_seq_len", "L1/attention/*"},
    {"seq_len_of_first_sequence", "L1/attention/*"},
    {"softmax_scale_missing", "L1/*"},
    {"not_normalized", "L1/attention/*"},
    {"last_kv_head_lost", "L1/attention/*"},
    {"cached_tokens_in_10_bits", "L1/attention/*_long*"},
    {"kv_scales_swapped", "L1/attention/i8*"},
    {"full_block_lost", "L1/attention/*"},
    {"gqa_ratio_by_shift", "L1/attention/*"},
    {"kv_blocks_too_small", "L1/attention/*"},
    {"stores_skipped_tokens", "L1/kv_append/*_skips*"},
    {"v_is_rotated", "L1/kv_append/*"},
    {"rope_position_off", "L1/rope/*"},
    {"rope_styles_swapped", "L1/rope/*interleaved*"},
    {"rope_position_in_8_bits", "L1/rope/*"},
    {"rope_turns_back", "L1/rope/*"},
    {"rope_aliases", "L1/rope/*"},
    {"rotary_dim_ignored", "L1/kv_append/*_rotary*"},
    {"kv_codes_truncate", "L1/kv_append/i8*"},
    {"kv_scale_not_stored", "L1/kv_append/i8*"},
    {"kv_copy_backwards", "L1/transfer/kv_blocks/*"},
    {"kv_import_in_order", "L1/transfer/kv_blocks/*"},
    {"kv_export_in_order", "L1/transfer/kv_blocks/*"},
    {"blocks_unchecked", "L1/transfer/kv_blocks/*"},
    // Small ops
    {"rms_sums", "L1/rms_norm/*"},
    {"epsilon_ignored", "L1/rms_norm/*"},
    {"softmax_max_of_zero", "L1/softmax/*"},
    {"gathers_its_own_row", "L1/embedding/*"},
    {"table_rows_in_8_bits", "L1/embedding/*"},
    {"table_rows_in_16_bits", "L1/embedding/*_table70000*"},
    {"infinity_clamped", "L1/*"},
    {"last_row_of_table_lost", "L1/embedding/*"},
    {"silu_of_the_wrong_side", "L1/silu_mul/*"},
    {"flushes_small_values", "L1/*"},
    // Memory
    {"writes_past_end", "L1/add/*"},
    {"writes_far_past_end", "L1/add/*"},
    {"writes_before_start", "L1/add/*"},
    {"writes_between_rows", "L1/add/*_strided*"},
    {"runs_all_rows", "L1/*_of9*"},
    {"input_changed", "L1/*"},
    {"last_element_missing", "L1/add/*"},
    {"differs_from_run_to_run", "L1/add/*"},
    {"uses_freed_memory", "L1/add/*"},
    {"frees_twice", "L1/add/*"},
    {"leaks_host_memory", "L2/leaks/*"},
    {"leaks_heap", "L2/leaks/*"},
    {"leaks_descriptors", "L2/leaks/*"},
    {"leaks_threads", "L2/leaks/*"},
    {"reads_record_later", "L1/linear_*"},
    {"rounding_left_upward", "L1/*"},
    {"crashes_when_closed", "L0/memory_kinds"},
    {"closing_one_closes_all", "L2/close_one/*"},
    {"keeps_programs", "L2/*"},
    {"keeps_weights", "L2/*"},
    {"null_allocation_used", "L2/alloc_fails/*"},
    {"poisoned_by_failed_allocation", "L2/alloc_fails/*"},
    {"failed_allocation_is_internal", "L2/alloc_fails/*"},
    {"cancelled_packing_commits", "L2/c*_*"},
    {"commits_missing_rows", "L2/commit_without_rows/*"},
    // Arguments and records
    {"segments_without_end", "L1/segments/*"},
    {"second_program_of_an_id", "L2/arguments/taken_ids/*"},
    {"buffer_size_overflows", "L2/arguments/buffers/*"},
    {"divides_by_zero", "L2/fuzz/descriptors/*"},
    {"reads_tensors_unchecked", "L2/fuzz/programs/*"},
    {"reads_bindings_unchecked", "L2/*"},
    // Queues and steps
    {"kernel_of_first_width", "L2/one_after_another/row_op"},
    {"aborts", "L1/add/*"},
    {"ends_the_process", "L1/add/*"},
    {"crashes_on_second_step", "L1/add/*"},
    {"sizes_of_first_step", "L2/queue/shrink_and_grow"},
    {"bindings_of_first_step", "L2/queue/rebind"},
    {"stale_workspace", "L1/*"},
    {"queues_share_scratch", "L2/threads/*"},
    {"offsets_in_32_bits", "L2/far/copy"},
    {"step_sizes_unchecked", "L2/queue/wrong_calls"},
    {"unknown_kinds_are_fine", "L2/queue/wrong_calls"},
    {"unknown_programs_are_fine", "L2/queue/*"},
    {"ignores_waits", "L2/queue/*"},
    {"waits_for_one_alone", "L2/queue/late_signal"},
    {"signals_one_alone", "L2/queue/two_signals"},
    {"signals_early", "L2/queue/early_signal"},
    {"runs_after_failed_wait", "L2/queue/failed_wait"},
    {"loses_the_status", "L2/queue/failed_wait"},
    {"copy_offset_ignored", "L1/transfer/copy"},
    {"copies_one_byte_less", "L1/transfer/copy"},
    {"profiles_too_many_ops", "L1/transfer/profile"},
    {"profile_runs_backwards", "L1/transfer/profile"},
};

// Faults that end in waiting; each costs the kit's patience.
constexpr Fault kHangingMutants[] = {
    {"never_signals", "L1/add/*"},          {"signals_one_less", "L1/add/*"},
    {"hangs_on_one_token", "L1/add/*M1_*"}, {"loses_floods", "L2/queue/flood"},
    {"never_closes", "L0/memory_kinds"},
};

// Faults of level 3, which alone is run for them.
constexpr Fault kCostMutants[] = {
    {"estimates_backwards", "L3/linear/*"},
    {"flatters_itself", "L3/linear/*"},
    {"estimates_milliseconds", "L3/linear/*"},
    {"steps_do_not_repeat", "L3/linear/linear_i8"},
    {"crawls", "L3/linear/linear_i8"},
    {"compiles_in_each_step", "L3/replay/row_op"},
};

// Libraries of plugins/faulty that are not the mutant, and what finds them.
constexpr Fault kLibraries[] = {
    {"abi_2_only", "L0/load"},
    {"abi_inverted", "L0/load"},
    {"device_lost", "L1/add*"},
    {"endless_strings", "L0/devices"},
    {"get_api_fails", "L0/load"},
    {"huge_table", "L0/load"},
    {"many_devices", "L0/load"},
    {"missing_function", "L0/load"},
    {"no_get_api", "L0/load"},
    {"no_name", "L0/load"},
    {"no_symbol", "L0/load"},
    {"nonsense_refusals", "L1/*"},
    {"null_header", "L0/load"},
    {"null_kernels", "L0/load"},
    {"null_table", "L0/load"},
    {"open_exhausted", "L0/*"},
    {"open_poisoned", "L0/*"},
    {"short_header", "L0/load"},
    {"short_table", "L0/load"},
    {"submit_aborts", "L1/add*"},
    {"submit_fails", "L1/add*"},
    {"submit_throws", "L1/add*"},
    {"writes_past_struct_size", "L0/struct_sizes/device_info"},
    {"wrong_sanitizer", "L0/load"},
    {"wrong_sums", "L1/add*"},
};

KitOptions options_for(const std::string& library) {
  KitOptions options;
  options.library = library;
  options.cases.quick = true;
  options.max_failures = 1;
  options.patience = 1.0;
  return options;
}

std::string faulty_library(const std::string& name) {
  return TSR_BINARY_DIR "/faulty_plugins/tsr_plugin_" + name + ".so";
}

// Runs the kit and says how it met the fault; empty if as expected.
std::string meet(const Fault& fault, const std::string& library) {
  const Result<KitReport> report = run_kit(options_for(library));
  if (!report.ok()) return report.status().message();
  for (const CaseResult& result : report->results) {
    if (!is_failure(result.verdict)) continue;
    if (matches(fault.pattern, result.id)) return "";
    return "found by " + result.id + ": " + result.reason;
  }
  return "not caught";
}

template <size_t Count>
void catch_all(const char* what, const Fault (&faults)[Count], bool is_mutant) {
  size_t caught = 0;
  for (const Fault& fault : faults) {
    if (is_mutant) setenv("TSR_MUTANT", fault.name, 1);
    const std::string answer =
        meet(fault, faulty_library(is_mutant ? "mutant" : fault.name));
    unsetenv("TSR_MUTANT");
    EXPECT_EQ(answer, "") << fault.name;
    caught += answer.empty() ? 1U : 0U;
  }
  std::cout << what << ": caught and named " << caught << " of " << Count
            << "\n";
}

TEST(Kit, CatchesAndNamesEveryMutant) { catch_all("mutants", kMutants, true); }

TEST(Kit, CatchesAndNamesPluginsThatHang) {
  catch_all("hanging mutants", kHangingMutants, true);
}

TEST(Kit, CatchesAndNamesPluginsThatLieAboutTheirCost) {
  for (const Fault& fault : kCostMutants) {
    setenv("TSR_MUTANT", fault.name, 1);
    KitOptions options = options_for(faulty_library("mutant"));
    options.max_level = 3;
    options.patience = 4.0;
    options.filter = fault.pattern;
    const Result<KitReport> report = run_kit(options);
    unsetenv("TSR_MUTANT");
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report->count(Verdict::kFail), 1U) << fault.name;
  }
}

TEST(Kit, CatchesAndNamesFaultyLibraries) {
  catch_all("faulty libraries", kLibraries, false);
}

// Every failure of a good plugin is a false alarm.
void expect_no_false_alarm(const std::string& library) {
  if (!std::filesystem::exists(library)) GTEST_SKIP() << library;
  KitOptions options = options_for(library);
  options.max_failures = 10;
  options.patience = 10.0;
  const Result<KitReport> report = run_kit(options);
  ASSERT_TRUE(report.ok()) << report.status().message();
  for (const CaseResult& result : report->results) {
    EXPECT_FALSE(is_failure(result.verdict))
        << result.id << ": " << result.reason << "\n"
        << report->rerun_command(result.id);
  }
  EXPECT_TRUE(report->passed());
  std::cout << report->subject.device << ": " << report->count(Verdict::kPass)
            << " cases pass, " << report->count(Verdict::kUnsupported)
            << " unsupported, " << report->seconds << " s\n";
}

TEST(Kit, RaisesNoFalseAlarmOnTheSoundMutant) {
  expect_no_false_alarm(faulty_library("mutant"));
}

TEST(Kit, RaisesNoFalseAlarmOnTheCpu) {
  expect_no_false_alarm(TSR_BINARY_DIR "/plugins/tsr_plugin_cpu.so");
}

TEST(Kit, RaisesNoFalseAlarmOnTheSimulatedNpu) {
  expect_no_false_alarm(TSR_BINARY_DIR "/plugins/tsr_plugin_npu_sim.so");
}

}  // namespace
}  // namespace tessera::conformance
