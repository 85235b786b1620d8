#include "lib/health/capacity.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace codops::health {

Capacity share_out(std::size_t limit, std::size_t open) {
  constexpr std::size_t reserve = 8;        // files that are read on the way: CA bundle, pgpass, /proc, logs
  constexpr std::size_t files_a_lookup = 3;  // resolv.conf or nss module, a socket, its TCP fallback
  const std::size_t room = limit > open + reserve ? limit - open - reserve : 1;
  const std::size_t lookups = std::clamp<std::size_t>(room / 12, 1, 16);
  const std::size_t for_lookups = lookups * files_a_lookup;
  return {room > for_lookups ? room - for_lookups : 1, lookups};
}

Capacity capacity_now() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  std::size_t open = 16;
  std::error_code error;
  std::filesystem::directory_iterator files{"/proc/self/fd", error};
  if (!error) open = static_cast<std::size_t>(std::distance(begin(files), end(files)));
  const auto most = limit.rlim_cur == RLIM_INFINITY ? std::size_t{1} << 20U : static_cast<std::size_t>(limit.rlim_cur);
  return share_out(most, open);
}

}  // namespace codops::health
