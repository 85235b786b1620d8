#pragma once
// target::StateStore in a namespace: a Secret for each file, the content of large ones in further Secrets.
//   name    codops-state-HASH (of project and path); parts add -CONTENT-N
//   labels  codops.state=PROJECT; codops.state/kind=file|part; codops.state/N=HASH of the path's first N names, up to the
//           whole path: a folder is one list, and one call removes it
//   data    path; file, or file.zst where that is smaller; of a file in parts, parts ("3 CONTENT") instead
// A file appears and is replaced at once; several files are written one after another, in the order given. A file that
// this store has read or written is replaced only if nobody else has changed it since (resourceVersion).
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
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

  // Of the packed content in one Secret; the cluster's own limit is 1 MiB for all of an object.
  static constexpr std::size_t largest_part = 900 * 1024;

  // What kubectl takes as -l for everything at or below a path.
  std::string selector_of(const std::string& path) const;

 private:
  std::string name_of(const std::string& path) const;
  nlohmann::json secret(const std::string& name, const std::string& path, const char* kind) const;
  // nullopt: a part is missing, because the file is being replaced.
  std::optional<std::string> content_of(const nlohmann::json& head, const Limits& limits);
  void write_one(const File& file, const Limits& limits);
  void apply_head(nlohmann::json head, const std::string& path, const Limits& limits);
  void remove_parts(const std::string& path, const std::string& but_content, const Limits& limits);
  void saw(const std::string& path, const nlohmann::json& head);

  Api& api_;
  std::string namespace_, project_;
  std::mutex mutex_;
  struct Known {
    std::string version;  // resourceVersion
    bool in_parts{false};
  };
  std::map<std::string, Known> known_;  // by path
};

}  // namespace codops::engine::kubernetes
