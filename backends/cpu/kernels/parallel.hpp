// SPDX-License-Identifier: Apache-2.0
//
// How kernels borrow threads.  They make none of their own: the caller hands
// in the host's parallel_for, or nothing.

#pragma once

#include <cstdint>
#include <type_traits>

namespace tessera::cpu {

// Calls task(task_context, i) for every i < num_tasks, one after another.
inline void run_serially(void* /*context*/, uint32_t num_tasks,
                         void (*task)(void* task_context, uint32_t index),
                         void* task_context) {
  for (uint32_t i = 0; i < num_tasks; ++i) task(task_context, i);
}

// Threads that share out tasks.  What a kernel computes depends on how it
// splits its work into tasks, so that follows from shapes alone, never from
// num_threads.  A default Parallel is the calling thread.
struct Parallel {
  uint32_t num_threads = 1;  // the caller's included
  void* context = nullptr;
  // Calls task(task_context, i) once for each i < num_tasks, on any threads in
  // any order, and returns when all are done.
  // Requires: no task calls run, or throws.
  void (*run)(void* context, uint32_t num_tasks,
              void (*task)(void* task_context, uint32_t index),
              void* task_context) = run_serially;
};

// Calls body(i) for each i < num_tasks.
template <typename Body>
void parallel_for(const Parallel& parallel, uint32_t num_tasks, Body&& body) {
  using Function = std::remove_reference_t<Body>;
  parallel.run(
      parallel.context, num_tasks,
      [](void* task_context, uint32_t index) {
        (*static_cast<Function*>(task_context))(index);
      },
      const_cast<std::remove_const_t<Function>*>(&body));
}

}  // namespace tessera::cpu
