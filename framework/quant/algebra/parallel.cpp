// SPDX-License-Identifier: Apache-2.0
//
// Adapts the host's thread pool, which takes a function pointer.

#include "framework/quant/algebra/parallel.hpp"

#include "framework/host/services/thread_pool.hpp"

namespace tessera::quant {

ParallelFor run_serially() {
  return [](uint32_t num_tasks, const std::function<void(uint32_t)>& body) {
    for (uint32_t task = 0; task < num_tasks; ++task) body(task);
  };
}

ParallelFor run_on(ThreadPool& pool) {
  return
      [&pool](uint32_t num_tasks, const std::function<void(uint32_t)>& body) {
        using Body = const std::function<void(uint32_t)>;
        pool.parallel_for(
            num_tasks,
            [](void* context, uint32_t task) {
              (*static_cast<Body*>(context))(task);
            },
            const_cast<std::function<void(uint32_t)>*>(&body));
      };
}

}  // namespace tessera::quant
