// SPDX-License-Identifier: Apache-2.0
//
// The child's end of an isolated plugin: it loads the library and serves one
// call after another.

#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "framework/host/loading/plugin_library.hpp"
#include "framework/host/remote/calls.hpp"
#include "framework/host/remote/mailbox.hpp"
#include "framework/host/remote/wire.hpp"
#include "framework/host/services/shared_memory.hpp"
#include "tessera/plugin.h"

namespace tessera {

// Explain a failure of the child's own in `err`.
tsr_status fail_with(tsr_error* err, const Status& status);
tsr_status fail_short_message(tsr_error* err);

class ChildServer {
 public:
  ChildServer(int socket, int log_socket, Mailbox mailbox)
      : socket_(socket),
        log_socket_(log_socket),
        mailbox_(std::move(mailbox)) {}

  // Serves until the host closes the socket.
  void run();

 private:
  using Handler = tsr_status (ChildServer::*)(tsr_error*);
  static const Handler kHandlers[];

  // Returns when the host closes the socket, or this process ends.
  void wait_for_end();
  void serve(CallId id);
  tsr_status load(tsr_error* err);

  // One for each CallId; arguments from request_, results into reply_.
  tsr_status device_open(tsr_error* err);
  tsr_status device_close(tsr_error* err);
  tsr_status check(tsr_error* err);
  tsr_status estimate(tsr_error* err);
  tsr_status buffer_create(tsr_error* err);
  tsr_status buffer_import(tsr_error* err);
  tsr_status buffer_flush(tsr_error* err);
  tsr_status buffer_invalidate(tsr_error* err);
  tsr_status buffer_destroy(tsr_error* err);
  tsr_status weight_query(tsr_error* err);
  tsr_status packing_begin(tsr_error* err);
  tsr_status packing_slice(tsr_error* err);
  tsr_status packing_end(tsr_error* err);
  tsr_status weight_create(tsr_error* err);
  tsr_status weight_destroy(tsr_error* err);
  tsr_status kv_query(tsr_error* err);
  tsr_status kv_create(tsr_error* err);
  tsr_status kv_destroy(tsr_error* err);
  tsr_status program_create(tsr_error* err);
  tsr_status program_segment(tsr_error* err);
  tsr_status program_destroy(tsr_error* err);
  tsr_status timeline_import(tsr_error* err);
  tsr_status timeline_forget(tsr_error* err);
  tsr_status queue_create(tsr_error* err);
  tsr_status queue_submit(tsr_error* err);
  tsr_status queue_destroy(tsr_error* err);
  tsr_status profile_read(tsr_error* err);
  tsr_status device_last_error(tsr_error* err);
  tsr_status device_ask(tsr_error* err);

  const tsr_api& api() const { return plugin_->api(); }
  // The next argument as an object of the plugin's.
  template <typename Object>
  Object* get_handle() {
    return reinterpret_cast<Object*>(request_.get<uint64_t>());
  }
  template <typename Object>
  void put_handle(Object* object) {
    reply_.put(reinterpret_cast<uint64_t>(object));
  }
  // Takes over new bulk memory, if the next arguments bring some.
  Status get_bulk();

  int socket_;
  int log_socket_;
  Mailbox mailbox_;
  std::atomic<bool> host_gone_ = false;
  WireReader request_;
  WireWriter reply_;
  std::shared_ptr<Plugin> plugin_;

  // What the plugin holds on to, by device and host id.
  using Key = std::pair<tsr_device*, uint64_t>;
  std::map<Key, SharedMemory> buffers_;
  std::map<Key, SharedMemory> weights_;
  std::map<tsr_packing*, std::vector<std::byte>> small_planes_;
  std::map<uint64_t, SharedMemory> timelines_;  // by the file's number
  SharedMemory bulk_;
};

}  // namespace tessera
