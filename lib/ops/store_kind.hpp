#pragma once
// What a service is, and what an application that is told a server in pieces means by them.
#include <functional>
#include <optional>
#include <string>

#include "lib/compose/model.hpp"
#include "lib/io/server_parts.hpp"

namespace codops::ops {

io::Store store_of_image(const std::string& image);
// By its image, else by what it listens at and how it is configured.
io::Store store_of_service(const compose::Service& service);

// The kind of the service that a host name means; nullopt: it means none, or one that nothing is known of.
using KindOfHost = std::function<std::optional<io::Store>(const std::string& host)>;
KindOfHost kinds_in(const compose::Project& project);

struct InPieces {
  std::string url;
  std::string variable;  // the first of them: "DB_HOST"
};
struct PieceRules {
  bool host_needed{true};  // a compose file's POSTGRES_USER and POSTGRES_DB are its own container's
  bool asked{};            // somebody asked for that very kind: only a sign of another is against it. Else pieces that don't say are left alone
};
// nullopt: there are none, or they are another kind's.
std::optional<InPieces> in_pieces(io::Store store, const io::PartLookup& look, const KindOfHost& kind, const PieceRules& rules);
// The same of one service's own variables; a store's own are no application's.
std::optional<InPieces> in_pieces(io::Store store, const compose::Project& project, const compose::Service& service, bool asked);

}  // namespace codops::ops
