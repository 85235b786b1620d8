#pragma once
// SQL from a file or a store, for psql: whoever can write there must not run commands here (`\! …`, `\o |…`).
#include <string>

#include "lib/backup/programs.hpp"
#include "lib/io/byte_stream.hpp"

namespace codops::backup {

// Whether this psql has \restrict (13.22, 14.19, 15.14, 16.10, 17.6 and later): from then on it takes no other command of its own.
bool psql_restricts(Programs& programs, const Limits& limits);

// The SQL behind a \restrict with a key that nobody else knows. The dump's own \restrict and \unrestrict, which would be refused there, are
// left out: one line in its head, and the one with the same key.
class RestrictedSql final : public io::Reader {
 public:
  RestrictedSql(io::Reader& from, bool restrict_psql);
  std::size_t read(char* into, std::size_t size) override;

 private:
  bool fill();

  io::Reader& from_;
  std::string ready_;     // to hand out
  std::string pending_;   // the last line, as far as it was read
  std::string unrestrict_;
  std::size_t at_{}, seen_{};
  bool restricted_{}, long_line_{};
};

}  // namespace codops::backup
