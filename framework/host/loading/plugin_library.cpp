// SPDX-License-Identifier: Apache-2.0

#include "framework/host/loading/plugin_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/dll/shared_library.hpp>
#include <mutex>
#include <utility>
#include <vector>

#include "framework/base/mapped_file.hpp"
#include "framework/host/device/device.hpp"
#include "framework/host/loading/named_library.hpp"
#include "framework/host/loading/verified_library.hpp"
#include "framework/host/recording/recorder.hpp"
#include "framework/host/remote/remote_plugin.hpp"
#include "framework/host/services/lent_services.hpp"
#include "framework/host/services/shared_memory.hpp"
#include "framework/host/validation/validation.hpp"

namespace tessera {
namespace {

namespace dll = boost::dll;

constexpr const char* kQuerySymbol = "tsr_plugin_query_v1";

std::shared_ptr<ThreadPool> pool_of(const HostOptions& options) {
  return options.pool ? options.pool
                      : std::make_shared<ThreadPool>(options.num_threads);
}

// `allocator` may be null.
Result<PluginParts> join(
    const tsr_plugin_header* header, const std::string& name,
    const HostOptions& options,
    const std::shared_ptr<HostAllocator>& allocator = nullptr) {
  // A plugin that is refused leaves no cache folder behind.
  uint32_t abi_version = 0;
  TSR_RETURN_IF_ERROR(check_header(header, kHostAbi, &abi_version).status());
  PluginParts parts;
  parts.pool = pool_of(options);
  const auto services =
      std::make_shared<HostServices>(name, options, parts.pool);
  const auto lent = allocator == nullptr
                        ? nullptr
                        : std::make_shared<LentServices>(services, allocator);
  TSR_ASSIGN_OR_RETURN(
      NegotiatedApi negotiated,
      negotiate(header, lent == nullptr ? services->table() : lent->table()));
  parts.identity = std::move(negotiated.identity);
  parts.abi_version = negotiated.abi_version;
  parts.api =
      is_validating() ? validated(negotiated.api, name) : negotiated.api;
  parts.keeper = services;
  if (lent != nullptr) parts.keeper = lent;
  parts.requested_devices = options.requested_devices;
  return parts;
}

// With TESSERA_RECORD its calls are written down from here on.
std::shared_ptr<Plugin> make_plugin(PluginParts parts) {
  recording::start_if_asked();
  parts.api = recording::recorded(
      parts.api, {parts.identity.name, parts.identity.version,
                  parts.identity.build_id, parts.sha256, parts.abi_version,
                  parts.requested_devices, parts.isolated});
  return std::make_shared<Plugin>(std::move(parts));
}

// Why a library did not open.  On POSIX the code is "Bad file descriptor"
// whatever went wrong; the reason is in dlerror().
std::string load_error(const dll::fs::error_code& code) {
  const char* reason = dlerror();
  return reason != nullptr ? reason : code.message();
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino &&
         a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// The library is opened by its path, so that its own $ORIGIN and debuggers find
// their way, and not by the descriptor that was hashed.  Only root and this
// user can exchange the file in between, and they need no such trick; this
// check is for an upgrade that comes in the middle.
Status check_unchanged(const TrustedFile& file) {
  struct stat hashed {};
  struct stat opened {};
  if (fstat(file.fd.get(), &hashed) == 0 &&
      stat(file.path.c_str(), &opened) == 0 && same_file(hashed, opened)) {
    return {};
  }
  return {TSR_FAILED_PRECONDITION, "changed while it was loaded"};
}

// A library that this process has loaded for good.
struct Loaded {
  struct stat info;
  dll::shared_library library;
  std::shared_ptr<Plugin> plugin;
};

struct LoadedLibraries {
  std::mutex mutex;
  std::vector<Loaded> list;
  // Opened, but refused.  A library that is not known to bear it is never
  // closed.
  std::vector<dll::shared_library> refused;
};

// Not destroyed: some vendors' exit handlers run after ours.
LoadedLibraries& loaded_libraries() {
  static auto* instance = new LoadedLibraries;
  return *instance;
}

Result<std::shared_ptr<Plugin>> find_loaded(const LoadedLibraries& libraries,
                                            const struct stat& info) {
  for (const Loaded& loaded : libraries.list) {
    if (loaded.info.st_dev != info.st_dev ||
        loaded.info.st_ino != info.st_ino) {
      continue;
    }
    if (same_file(loaded.info, info)) return loaded.plugin;
    return Status(TSR_FAILED_PRECONDITION,
                  "changed since this process loaded it");
  }
  return std::shared_ptr<Plugin>();
}

Result<const tsr_plugin_header*> query_header(
    const dll::shared_library& library) {
  if (!library.has(kQuerySymbol)) {
    return Status(TSR_NOT_FOUND, std::string("no symbol ") + kQuerySymbol);
  }
  return library.get<decltype(tsr_plugin_query_v1)>(kQuerySymbol)();
}

Result<dll::shared_library> open_library(const TrustedFile& file) {
  dll::fs::error_code code;
  dll::shared_library library(
      file.path, code, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
  if (code) return Status(TSR_FAILED_PRECONDITION, load_error(code));
  return library;
}

// A file without a name, which the loader takes for another library.
Result<FileDescriptor> copy_to_memory(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  FileDescriptor copy(memfd_create("tsr_plugin_copy", MFD_CLOEXEC));
  size_t at = 0;
  while (copy.get() >= 0 && at < file.bytes().size()) {
    const ssize_t written =
        write(copy.get(), file.bytes().data() + at, file.bytes().size() - at);
    if (written <= 0) break;
    at += static_cast<size_t>(written);
  }
  if (at == file.bytes().size()) return copy;
  return Status(TSR_RESOURCE_EXHAUSTED, path + ": cannot be copied to memory");
}

// True if the library opened from `path` is still there.
bool is_mapped(const std::string& path) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  if (handle == nullptr) return false;
  dlclose(handle);
  return true;
}

Result<std::shared_ptr<Plugin>> join_library(
    const dll::shared_library& library, const VerifiedLibrary& verified,
    const HostOptions& options,
    const std::shared_ptr<HostAllocator>& allocator) {
  TSR_RETURN_IF_ERROR(check_unchanged(verified.file));
  TSR_ASSIGN_OR_RETURN(const tsr_plugin_header* header, query_header(library));
  uint32_t abi_version = 0;
  TSR_ASSIGN_OR_RETURN(const PluginIdentity identity,
                       check_header(header, kHostAbi, &abi_version));
  const std::string& name =
      verified.manifest.name.empty() ? identity.name : verified.manifest.name;
  TSR_ASSIGN_OR_RETURN(PluginParts parts,
                       join(header, name, options, allocator));
  if (parts.identity.name != name) {
    return Status(TSR_INVALID_ARGUMENT,
                  "the header's name is \"" + parts.identity.name +
                      "\", the manifest's \"" + name + "\"");
  }
  parts.path = verified.file.path;
  parts.sha256 = verified.manifest.sha256;
  return make_plugin(std::move(parts));
}

Result<std::shared_ptr<Plugin>> find_or_open(
    const VerifiedLibrary& verified, const HostOptions& options,
    const std::shared_ptr<HostAllocator>& allocator = nullptr) {
  struct stat info {};
  fstat(verified.file.fd.get(), &info);
  LoadedLibraries& libraries = loaded_libraries();
  const std::lock_guard<std::mutex> lock(libraries.mutex);
  Result<std::shared_ptr<Plugin>> found = find_loaded(libraries, info);
  if (!found.ok() || *found != nullptr) return found;
  TSR_ASSIGN_OR_RETURN(dll::shared_library library,
                       open_library(verified.file));
  Result<std::shared_ptr<Plugin>> plugin =
      join_library(library, verified, options, allocator);
  if (plugin.ok()) {
    libraries.list.push_back({info, std::move(library), *plugin});
  } else {
    libraries.refused.push_back(std::move(library));
  }
  return plugin;
}

}  // namespace

Result<std::shared_ptr<Plugin>> Plugin::load(const std::string& manifest_path,
                                             const HostOptions& options) {
  TSR_ASSIGN_OR_RETURN(const VerifiedLibrary verified,
                       verify_library(manifest_path));
  return find_or_open(verified, options).annotate(verified.file.path);
}

Result<std::shared_ptr<Plugin>> load_named_library(
    const std::string& path, const HostOptions& options,
    const std::shared_ptr<HostAllocator>& allocator,
    const std::string& known_sha256) {
  TSR_ASSIGN_OR_RETURN(const VerifiedLibrary verified,
                       examine_library(path, known_sha256));
  return find_or_open(verified, options, allocator)
      .annotate(verified.file.path);
}

Result<std::shared_ptr<Plugin>> Plugin::load_isolated(
    const std::string& manifest_path, const HostOptions& options) {
  TSR_ASSIGN_OR_RETURN(PluginParts parts, load_remote(manifest_path, options));
  return make_plugin(std::move(parts));
}

Status load_and_unload(const std::string& path, uint32_t device_index,
                       uint32_t times) {
  TSR_ASSIGN_OR_RETURN(const FileDescriptor copy, copy_to_memory(path));
  TrustedFile file;
  file.path = fmt::format("/proc/self/fd/{}", copy.get());
  HostOptions options;
  options.num_threads = 1;
  for (uint32_t i = 0; i < times; ++i) {
    TSR_ASSIGN_OR_RETURN(dll::shared_library library, open_library(file));
    TSR_ASSIGN_OR_RETURN(const tsr_plugin_header* header,
                         query_header(library));
    const Result<std::shared_ptr<Plugin>> plugin =
        Plugin::adopt(header, options);
    TSR_RETURN_IF_ERROR(plugin.status());
    TSR_RETURN_IF_ERROR(Device::open(*plugin, device_index).status());
    library.unload();
    if (is_mapped(file.path)) {
      return {TSR_INTERNAL,
              "stays loaded after dlclose: a thread of its own, a unique "
              "symbol, or a library that is linked with -z nodelete"};
    }
  }
  return {};
}

Result<std::shared_ptr<Plugin>> Plugin::adopt(const tsr_plugin_header* header,
                                              const HostOptions& options) {
  uint32_t abi_version = 0;
  TSR_ASSIGN_OR_RETURN(const PluginIdentity identity,
                       check_header(header, kHostAbi, &abi_version));
  TSR_ASSIGN_OR_RETURN(PluginParts parts, join(header, identity.name, options));
  return make_plugin(std::move(parts));
}

}  // namespace tessera
