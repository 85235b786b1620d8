#pragma once
// A backup as PostgreSQL's own programs read it, whatever the backup's own form.
#include "lib/backup/catalogue.hpp"
#include "lib/backup/part_stream.hpp"
#include "lib/backup/programs.hpp"

namespace codops::backup {

// A custom archive for pg_restore: tables that were stored on their own are put back into it. What was written counts
// only when this returns.
void export_custom(Catalogue& catalogue, const Manifest& manifest, const Keyring& keys, io::Writer& out,
                   const Limits& limits);
// SQL for psql, all of it one transaction of its own: the stored one, else made of the archive by pg_restore of this machine.
void export_plain(Catalogue& catalogue, const Manifest& manifest, const Keyring& keys, Programs& programs,
                  io::Writer& out, const Limits& limits);

// One part as it was before compression and encryption: by its name, its subject ("uploads") or its kind ("redis": an RDB
// that redis-server loads; files: a tar). Failure{usage} names the parts that there are.
void export_part(Catalogue& catalogue, const Manifest& manifest, const std::string& name, const Keyring& keys, io::Writer& out,
                 const Limits& limits);

}  // namespace codops::backup
