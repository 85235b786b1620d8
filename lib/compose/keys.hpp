#pragma once
// Every key of a compose file, as one table: what it may hold, how several files merge it, whether it is printed when
// it is zero, and whether codops acts on it. Source: the Compose Specification's schema, and what docker compose
// 2.26 prints.
#include <string>
#include <string_view>
#include <vector>

namespace codops::compose {

enum class Form {
  object,       // a mapping with the keys listed below it
  map,          // a mapping with names of the user's choice; `*` below it says of what
  list,         // a list; `[]` below it says of what. Merging appends
  any,          // not looked into
  text,
  scalar_text,  // text or a number, kept as text; null is ""
  integer,
  number,
  boolean,
  duration,
  bytes,
  texts,        // a list of text, each once; merging appends
  text_or_texts,
  scalars,      // a list of text or numbers, kept as text, each once
  command,      // text in a shell's quoting, or a list; merging replaces
  health_test,
  dict,         // a mapping or a list of NAME=value; null is ""
  environment,  // the same; null stays: the value comes from outside
  hosts,        // a mapping or a list of NAME=IP or NAME:IP
  build,
  depends_on,
  device,
  devices_all,  // `gpus`: "all" or a list
  count,        // a number or "all" (-1)
  env_files,
  extends,
  external,
  file_ref,     // a name, or {source, target, uid, gid, mode}
  logging,
  networks,
  port,         // one entry may become several
  ssh,
  ulimit,
  volume,
  watch,
};

struct Key {
  std::string_view name;
  Form form{Form::any};
  bool keep_zero{};   // printed although it is 0, false or empty
  bool acted_on{true};
  std::vector<Key> below;

  const Key* find(std::string_view child) const;  // falls back to `*`
  const Key* item() const;                        // the `[]` below
  bool is_text_list() const {
    return form == Form::texts || form == Form::text_or_texts || form == Form::scalars;
  }
};

// The root of the table; its children are the top-level keys.
const Key& keys();

}  // namespace codops::compose
