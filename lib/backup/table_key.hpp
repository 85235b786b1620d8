#pragma once
// How manifests name a table: `schema.name`, as they are; both in quotes where one of them has a dot: `"a.b"."c"` is not `"a"."b.c"`.
#include <string>
#include <string_view>

namespace codops::backup {

std::string table_key(std::string_view schema, std::string_view name);
// The same in SQL, of two columns of type name: table_key_sql("n.nspname", "c.relname").
std::string table_key_sql(std::string_view schema, std::string_view name);
// Without the quotes: how an earlier codops named both of those, and how people may.
std::string plain_name(std::string_view key);

}  // namespace codops::backup
