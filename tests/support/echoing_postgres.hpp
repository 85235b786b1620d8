#pragma once
// Just enough of PostgreSQL's protocol for a server that quotes in its error the password that it was given.
#include <string>

#include "tests/support/scripted_server.hpp"

namespace codops::tests {

inline void refuse_quoting_the_password(Peer& peer) {
  using namespace std::string_literals;
  auto startup = peer.read_some();
  if (startup.size() == 8) {  // SSLRequest
    peer.send("N");
    startup = peer.read_some();
  }
  peer.send("R\0\0\0\x08\0\0\0\x03"s);  // AuthenticationCleartextPassword
  const auto message = peer.read_some();
  if (message.size() < 6) return;
  const auto text = "bad password: " + message.substr(5, message.size() - 6);
  const auto body = "SFATAL\0VFATAL\0C28P01\0M"s + text + "\0\0"s;
  peer.send("E\0\0\0"s + static_cast<char>(body.size() + 4) + body);
}

}  // namespace codops::tests
