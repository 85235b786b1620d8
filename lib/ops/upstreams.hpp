#pragma once
// The one file that codops writes for the proxy: every upstream of every service behind it, by address, so that
// `nginx -t` never depends on who is alive and a crash or reboot without codops leaves it true.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace codops::ops {

struct Upstream {
  std::string service;
  int port{};
  std::vector<std::string> primaries;  // addresses on the traffic network
  std::vector<std::string> backups;    // of the old set, in the monitor window
  bool sticky{};                       // ip_hash, which forbids backup servers
};

struct UpstreamFile {
  int release{};
  std::string version;
  bool set_connect_timeout{};  // the user's configuration leaves proxy_connect_timeout open
  std::vector<Upstream> upstreams;
};

inline constexpr const char* upstreams_volume_suffix = "_codops-upstreams";  // after the project: the volume that the file lies in
inline constexpr const char* upstream_file_name = "codops.conf";  // matched by the usual `include DIR/*.conf`
inline constexpr const char* upstream_temp_name = "codops.conf.new";

std::string render(const UpstreamFile& file);

// What nginx acts on: without the first line, which only names the release.
std::string_view effective(std::string_view file);

// The release that a rendered file was written for; nullopt: it does not say.
struct WrittenFor {
  int release{};
  std::string version;
};
std::optional<WrittenFor> written_for(std::string_view file);

// The addresses that a rendered file gives a service's servers, but for backups.
std::vector<std::string> primaries_in(std::string_view file, const std::string& service);

// The port that a rendered file gives a service's servers; 0: it has none.
int port_in(const std::string& file, const std::string& service);

// Whether nginx configuration text sets `directive` outside comments.
bool sets_directive(const std::string& configuration, const std::string& directive);

}  // namespace codops::ops
