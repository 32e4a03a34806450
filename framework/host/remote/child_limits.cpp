// SPDX-License-Identifier: Apache-2.0

#include "framework/host/remote/child_limits.hpp"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

namespace tessera {
namespace {

// A file of the kernel's that may not be there.
void write_setting(const char* path, const char* value) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t written = write(fd, value, strlen(value));
  close(fd);
}

#if defined(__x86_64__)
constexpr uint32_t kMachine = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kMachine = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kMachine = 0;
#endif

// Calls that are refused whatever their arguments.
constexpr uint32_t kRefused[] = {SYS_execve,
                                 SYS_execveat,
                                 SYS_ptrace,
                                 SYS_process_vm_readv,
                                 SYS_process_vm_writev,
                                 SYS_bpf,
                                 SYS_perf_event_open,
                                 SYS_userfaultfd,
                                 SYS_mount,
                                 SYS_umount2,
                                 SYS_pivot_root,
                                 SYS_chroot,
                                 SYS_setns,
                                 SYS_unshare,
                                 SYS_init_module,
                                 SYS_finit_module,
                                 SYS_delete_module,
                                 SYS_kexec_load,
                                 SYS_reboot,
                                 SYS_swapon,
                                 SYS_swapoff,
                                 SYS_keyctl,
                                 SYS_add_key,
                                 SYS_request_key,
                                 SYS_open_by_handle_at,
                                 SYS_pidfd_open,
                                 SYS_pidfd_getfd,
                                 SYS_pidfd_send_signal,
                                 SYS_tkill,
                                 SYS_settimeofday,
                                 SYS_clock_settime,
                                 SYS_sethostname,
                                 SYS_setdomainname};

// A call that is allowed with one first argument alone.
struct Conditional {
  uint32_t call;
  uint32_t first_argument;
};

class Filter {
 public:
  Filter() {
    load(offsetof(seccomp_data, arch));
    add(BPF_JMP | BPF_JEQ | BPF_K, kMachine, 1, 0);
    add(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    load(offsetof(seccomp_data, nr));
  }
  void refuse(uint32_t call) {
    add(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
    add(BPF_RET | BPF_K, kRefusal);
  }
  // Calls with numbers of another ABI on the same machine.
  void refuse_above(uint32_t call) {
    add(BPF_JMP | BPF_JGE | BPF_K, call, 0, 1);
    add(BPF_RET | BPF_K, kRefusal);
  }
  void allow_only(Conditional rule) {
    add(BPF_JMP | BPF_JEQ | BPF_K, rule.call, 0, 4);
    load(offsetof(seccomp_data, args));
    add(BPF_JMP | BPF_JEQ | BPF_K, rule.first_argument, 1, 0);
    add(BPF_RET | BPF_K, kRefusal);
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  }
  bool install() {
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    sock_fprog program{static_cast<uint16_t>(code_.size()), code_.data()};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                   SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
  }

 private:
  static constexpr uint32_t kRefusal = SECCOMP_RET_ERRNO | EPERM;

  void load(size_t offset) {
    add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset));
  }
  void add(int code, uint32_t value, uint8_t if_true = 0,
           uint8_t if_false = 0) {
    code_.push_back({static_cast<uint16_t>(code), if_true, if_false, value});
  }

  std::vector<sock_filter> code_;
};

}  // namespace

void limit_child(int first_closed) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  syscall(SYS_close_range, static_cast<unsigned>(first_closed), ~0U, 0U);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  write_setting("/proc/self/oom_score_adj", "500");
}

Status enter_sandbox() {
  if (kMachine == 0) {
    return {TSR_UNIMPLEMENTED, "no sandbox for this machine"};
  }
  Filter filter;
#if defined(__x86_64__)
  constexpr uint32_t kX32 = 0x40000000;
  filter.refuse_above(kX32);
#endif
  for (const uint32_t call : kRefused) filter.refuse(call);
  // abort() and the like signal this process itself.
  const auto self = static_cast<uint32_t>(getpid());
  filter.allow_only({SYS_kill, self});
  filter.allow_only({SYS_tgkill, self});
  filter.allow_only({SYS_socket, AF_UNIX});
  if (filter.install()) return {};
  return {TSR_FAILED_PRECONDITION,
          std::string("the kernel refuses the sandbox: ") + strerror(errno)};
}

}  // namespace tessera
