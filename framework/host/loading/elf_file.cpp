// SPDX-License-Identifier: Apache-2.0

#include "framework/host/loading/elf_file.hpp"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "framework/host/services/shared_memory.hpp"

namespace tessera {
namespace {

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#elif defined(__riscv)
constexpr uint16_t kMachine = EM_RISCV;
#else
#error "unknown machine"
#endif

Status wrong(const std::string& message) {
  return {TSR_FAILED_PRECONDITION, message};
}

bool read_at(int fd, uint64_t offset, void* out, size_t bytes) {
  const ssize_t count = pread(fd, out, bytes, static_cast<off_t>(offset));
  return count >= 0 && static_cast<size_t>(count) == bytes;
}

Status check_header(const Elf64_Ehdr& header) {
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return wrong("not a shared library");
  }
  if (header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != kMachine) {
    return wrong(fmt::format("built for another machine (ELF machine {}, {})",
                             header.e_machine, kMachine));
  }
  if (header.e_type != ET_DYN) return wrong("not a shared library");
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0) {
    return wrong("no program headers");
  }
  return {};
}

bool fits(uint64_t offset, uint64_t bytes, uint64_t file_bytes) {
  return offset <= file_bytes && bytes <= file_bytes - offset;
}

Status check_segment(const Elf64_Phdr& segment, uint64_t file_bytes) {
  if (segment.p_type != PT_LOAD && segment.p_type != PT_DYNAMIC) return {};
  if (fits(segment.p_offset, segment.p_filesz, file_bytes)) return {};
  return wrong(
      fmt::format("truncated: a segment of {} bytes at {} in a file "
                  "of {}",
                  segment.p_filesz, segment.p_offset, file_bytes));
}

}  // namespace

Status check_library_file(int fd) {
  struct stat info {};
  Elf64_Ehdr header{};
  if (fstat(fd, &info) != 0 || !read_at(fd, 0, &header, sizeof(header))) {
    return wrong("not a shared library: shorter than an ELF header");
  }
  TSR_RETURN_IF_ERROR(check_header(header));
  const auto file_bytes = static_cast<uint64_t>(info.st_size);
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  const size_t bytes = segments.size() * sizeof(Elf64_Phdr);
  if (!fits(header.e_phoff, bytes, file_bytes) ||
      !read_at(fd, header.e_phoff, segments.data(), bytes)) {
    return wrong("truncated: no room for its program headers");
  }
  // Section headers come last: without them the end of the file is missing.
  const uint64_t section_bytes = uint64_t{header.e_shnum} * header.e_shentsize;
  if (!fits(header.e_shoff, section_bytes, file_bytes)) {
    return wrong("truncated: no room for its section headers");
  }
  for (const Elf64_Phdr& segment : segments) {
    TSR_RETURN_IF_ERROR(check_segment(segment, file_bytes));
  }
  return {};
}

namespace {

// More than any library's tables have.
constexpr uint64_t kMaxTableBytes = uint64_t{64} << 20;

template <typename Entry>
Result<std::vector<Entry>> read_entries(int fd, uint64_t offset,
                                        uint64_t bytes) {
  if (bytes > kMaxTableBytes) return wrong("a table is too large");
  std::vector<Entry> entries(bytes / sizeof(Entry));
  if (!read_at(fd, offset, entries.data(), entries.size() * sizeof(Entry))) {
    return wrong("a table lies outside of the file");
  }
  return entries;
}

// Where in the file the byte lies that is loaded at `address`.
Result<uint64_t> file_offset(const std::vector<Elf64_Phdr>& segments,
                             uint64_t address) {
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
        address - segment.p_vaddr < segment.p_filesz) {
      return segment.p_offset + (address - segment.p_vaddr);
    }
  }
  return wrong("a table is not loaded");
}

uint64_t value_of(const std::vector<Elf64_Dyn>& entries, int64_t tag) {
  for (const Elf64_Dyn& entry : entries) {
    if (entry.d_tag == tag) return entry.d_un.d_val;
  }
  return 0;
}

}  // namespace

Result<std::vector<std::string>> needed_libraries(int fd) {
  TSR_ASSIGN_OR_RETURN(const auto headers,
                       read_entries<Elf64_Ehdr>(fd, 0, sizeof(Elf64_Ehdr)));
  TSR_ASSIGN_OR_RETURN(
      const auto segments,
      read_entries<Elf64_Phdr>(fd, headers[0].e_phoff,
                               headers[0].e_phnum * sizeof(Elf64_Phdr)));
  std::vector<std::string> names;
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_DYNAMIC) continue;
    TSR_ASSIGN_OR_RETURN(
        const auto entries,
        read_entries<Elf64_Dyn>(fd, segment.p_offset, segment.p_filesz));
    TSR_ASSIGN_OR_RETURN(const uint64_t offset,
                         file_offset(segments, value_of(entries, DT_STRTAB)));
    TSR_ASSIGN_OR_RETURN(
        auto texts,
        read_entries<char>(fd, offset, value_of(entries, DT_STRSZ)));
    texts.push_back('\0');
    for (const Elf64_Dyn& entry : entries) {
      if (entry.d_tag == DT_NULL) break;
      if (entry.d_tag != DT_NEEDED || entry.d_un.d_val >= texts.size())
        continue;
      names.emplace_back(texts.data() + entry.d_un.d_val);
    }
  }
  return names;
}

Result<std::vector<std::string>> exported_symbols(const std::string& path) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return Status(TSR_NOT_FOUND, path + ": cannot be read");
  const int fd = file.get();
  TSR_RETURN_IF_ERROR(check_library_file(fd));
  TSR_ASSIGN_OR_RETURN(const auto headers,
                       read_entries<Elf64_Ehdr>(fd, 0, sizeof(Elf64_Ehdr)));
  TSR_ASSIGN_OR_RETURN(
      const auto sections,
      read_entries<Elf64_Shdr>(fd, headers[0].e_shoff,
                               headers[0].e_shnum * sizeof(Elf64_Shdr)));
  std::vector<std::string> names;
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_DYNSYM || section.sh_link >= sections.size()) {
      continue;
    }
    const Elf64_Shdr& text = sections[section.sh_link];
    TSR_ASSIGN_OR_RETURN(auto texts,
                         read_entries<char>(fd, text.sh_offset, text.sh_size));
    texts.push_back('\0');
    TSR_ASSIGN_OR_RETURN(
        const auto symbols,
        read_entries<Elf64_Sym>(fd, section.sh_offset, section.sh_size));
    for (const Elf64_Sym& symbol : symbols) {
      const unsigned binding = ELF64_ST_BIND(symbol.st_info);
      const bool is_defined = symbol.st_shndx != SHN_UNDEF &&
                              symbol.st_shndx != SHN_ABS &&
                              binding != STB_LOCAL;
      if (!is_defined || symbol.st_name >= texts.size()) continue;
      names.emplace_back(texts.data() + symbol.st_name);
    }
  }
  return names;
}

}  // namespace tessera
