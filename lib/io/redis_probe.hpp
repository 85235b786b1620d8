#pragma once
// Redis on the event loop: PING and INFO over RESP (hiredis reads and writes the protocol), in the clear, under TLS or
// over a Unix socket.
#include "lib/base/secret.hpp"
#include "lib/io/stream.hpp"
#include "lib/io/tcp_probe.hpp"

namespace codops::io {

struct RedisTarget {
  TcpTarget tcp;
  bool tls{false};
  Trust trust;
  std::string server_name;  // SNI and the name to verify; empty: tcp.host
  std::string user;  // ACL user; empty: the default one
  Secret password;
  int database{0};
  bool names_database{false};  // "/0" and no number at all lead to the same one, and say different things of the others
};

// "redis://[user:password@]host[:port][/db]", "rediss://…", "unix:///path?db=1", "host:port". Throws Failure{config};
// its message never shows a password.
RedisTarget parse_redis_url(std::string_view url);
std::string to_string(const RedisTarget& target);

struct RedisFacts {
  std::string role;  // "master", "slave"
  std::string version;
  bool loading{false};             // the dataset is still being read
  bool replica_link_up{true};
  std::optional<std::uint64_t> used_memory, max_memory;  // absent: INFO is not allowed; max 0: no limit
  std::optional<std::uint64_t> clients;
  bool write_errors{false};        // the last snapshot failed: writes are refused by default
  std::string info_error;          // why INFO was refused; the facts are then missing
};
// The facts in an INFO reply.
RedisFacts read_redis_info(std::string_view info);

struct RedisResult : ProbeResult {
  RedisFacts facts;
};

std::unique_ptr<Probe> start_redis_probe(EventLoop& loop, Resolver& resolver, TrustStores& stores,
                                         const RedisTarget& target, std::function<void(const RedisResult&)> done);

}  // namespace codops::io
