#pragma once
// target::StateStore in a namespace: a Secret for each file, large ones in parts.
//   name    codops-state-HASH (of project and path); parts codops-state-HASH-CONTENT-N
//   labels  codops.state=PROJECT, codops.state/N=HASH of the path's first N folders: a folder is one list
//   data    path; file (gzip where that is smaller), or parts: how many, with their content's hash
// A file is one object's whole content, replaced at once; several files are written one after another in the order given.
// A file that was read or written before by this store is replaced only if nobody else has changed it since.
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/target/state.hpp"

namespace codops::engine::kubernetes {

class SecretStore final : public target::StateStore {
 public:
  // The namespace must exist when something is written; reading from a missing one finds nothing.
  SecretStore(Api& api, std::string namespace_, std::string project);

  std::optional<std::string> read(const std::string& path, const Limits& limits) override;
  std::vector<File> read_all(const std::string& folder, const Limits& limits) override;
  void write(const std::vector<File>& files, const Limits& limits) override;
  void remove(const std::vector<std::string>& paths, const Limits& limits) override;

  static constexpr const char* project_label = "codops.state";

 private:
  void write_one(const File& file, const Limits& limits);

  Api& api_;
  std::string namespace_, project_;
  std::mutex mutex_;
  std::map<std::string, std::string> seen_;  // path → resourceVersion
};

}  // namespace codops::engine::kubernetes
