// SPDX-License-Identifier: Apache-2.0
//
// The .icd files by which the loader finds drivers, so that one broken driver
// can be left out.

#pragma once

#include <string>
#include <vector>

namespace tessera::opencl {

struct DriverFile {
  std::string path;
  std::string name;  // "pocl.icd"
};

// Those that the loader reads in this process, by name.
std::vector<DriverFile> driver_files();

// While it exists, the loader finds only these drivers, if this process has not
// asked it before: it reads them once.
class OnlyTheseDrivers {
 public:
  explicit OnlyTheseDrivers(const std::vector<DriverFile>& files);
  ~OnlyTheseDrivers();
  OnlyTheseDrivers(const OnlyTheseDrivers&) = delete;
  OnlyTheseDrivers& operator=(const OnlyTheseDrivers&) = delete;

 private:
  std::string folder_;
  std::string former_;
  bool had_former_ = false;
};

}  // namespace tessera::opencl
