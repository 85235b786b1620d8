#pragma once
// A TLS handshake on the event loop: does it verify, and until when.
#include "lib/io/stream.hpp"
#include "lib/io/tcp_probe.hpp"

namespace codops::io {

struct TlsTarget {
  TcpTarget tcp;
  std::string server_name;  // SNI and the name to verify; empty: tcp.host
  Trust trust;
};

std::unique_ptr<Probe> start_tls_probe(EventLoop& loop, Resolver& resolver, TrustStores& stores,
                                       const TlsTarget& target, Connector::Done done);

}  // namespace codops::io
