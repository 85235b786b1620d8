#pragma once
// The checks that health-check's command line describes by itself: --url, --tcp and their like, with the options that say more of them.
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "commands/command.hpp"
#include "lib/health/check.hpp"

namespace codops::commands {

class HealthAdHoc {
 public:
  void declare(Parameters& parameters);
  // Throws Failure{usage} for options that would be ignored.
  void refuse_contradictions() const;
  // Behind those that `checks` has, each under a name of its own.
  void add_to(std::vector<health::Check>& checks, Services& services);
  bool insecure() const { return insecure_; }

 private:
  void add(std::vector<health::Check>& checks, const std::string& name, health::Check check);
  void add_postgres(std::vector<health::Check>& checks, Services& services);
  bool others_have_tls(Services& services) const;
  io::Trust trust() const;
  io::Via via() const;
  health::HttpCheck http(const std::string& url) const;

  std::unordered_set<std::string> taken_;
  std::vector<std::string> urls_, ports_, certificates_, databases_, caches_, containers_, disks_;
  std::vector<std::string> headers_, expected_headers_, bodies_, json_;
  std::optional<std::string> status_, redirects_, ca_, certificate_, key_, server_name_, connect_to_;
  Secret passphrase_;
  bool http2_{false}, insecure_{false};
};

}  // namespace codops::commands
