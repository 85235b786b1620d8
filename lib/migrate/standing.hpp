#pragma once
// What a run finds before it starts, and what stops it there.
#include "lib/migrate/ledger.hpp"
#include "lib/migrate/source.hpp"

namespace codops::migrate {

// With `check_files` also finds edited files, which always are for a source that `validates`.
Ledger ledger_of(const Source& source, const History& history, io::postgres::Connection& connection, bool check_files, const Limits& limits);

// Each throws what stands in the way. `subject`: Options::subject.
// P3009: a row that neither tool can continue.
void require_no_failures(const Ledger& ledger, const std::string& subject);
// Stopped in the middle of a down script: only `down` goes on with it.
void require_none_half_taken_back(const Ledger& ledger, const std::string& subject);
// Stopped in the middle of its script: only `up` goes on with it.
void require_none_half_applied(const Ledger& ledger, const std::string& subject);
// golang-migrate's one row says where the schema is, and nothing else does: with no file of that version nothing is known.
void require_known_version(const Ledger& ledger, const std::string& subject);

// What Flyway's validate refuses: an applied script that was edited or is gone (unless it is newer than all that are here), one that was
// passed over.
void require_valid(const Source& source, const Ledger& ledger, const std::string& subject);

// Makes the table. Failure{failed} says what the role lacks for it.
void create_history(const History& history, io::postgres::Connection& connection, const Limits& limits);

}  // namespace codops::migrate
