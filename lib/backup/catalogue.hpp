#pragma once
// The backups of one environment in a store. Layout, below `folder`:
//   LABEL/manifest.json       what it is; written last, so that what has none is unfinished and never listed
//   LABEL/manifest.sig        Ed25519 over manifest.json's bytes: "KEY SIGNATURE", both base64
//   LABEL/<part>              data
//   LABEL/in-progress.json    whoever is taking it
//   LABEL/marks.json          what was learned later: pinned, verified, drilled
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/backup/manifest.hpp"
#include "lib/base/cancel.hpp"
#include "lib/base/clock.hpp"
#include "lib/io/crypto.hpp"
#include "lib/store/store.hpp"

namespace codops::backup {

struct Marks {
  bool pinned{};
  std::optional<WallTime> verified;    // the last time that it was read to its end, and was whole
  std::string damage;                  // what the last verification or drill found, or list() sees; empty: nothing
  std::optional<WallTime> drilled;     // the last time that it was restored and compared
  std::optional<Milliseconds> drill_took;
};

enum class Trust { unsigned_, valid, invalid };  // invalid: signed by another key, or changed since

struct Entry {
  Manifest manifest;
  Marks marks;
  Trust trust{Trust::unsigned_};

  bool sound() const { return marks.damage.empty() && trust != Trust::invalid; }
};

struct Unfinished {
  std::string label, host;
  std::int64_t pid{};
  std::optional<WallTime> started;
  bool stale{};      // nobody works at it any more
  bool published{};  // its manifest is there: it is listed all the same
};

class Catalogue {
 public:
  // `trusted`: the public key that manifests must be signed with; empty: any signature, or none, will do.
  Catalogue(store::Store& store, std::string folder, std::string trusted = {});

  // Finished ones, oldest first by label; one whose parts are gone or of another size than its manifest says is damaged. A manifest that can't be read is in `broken`, when given, else a Failure.
  std::vector<Entry> list(const Limits& limits, std::vector<std::string>* broken = nullptr);
  // By label, by tag (its newest), or "latest" (the newest that is sound). Throws Failure{usage} when there is none,
  // Failure{data} when its signature is wrong.
  Entry find(const std::string& name, const Limits& limits);
  std::vector<Unfinished> unfinished(WallTime now, const Limits& limits);

  // The next label: the time, or one second after the newest label when the clock is behind it.
  static std::string next_label(WallTime now, const std::optional<std::string>& newest);
  std::optional<std::string> newest_label(const Limits& limits);  // unfinished ones included

  void begin(const std::string& label, WallTime now, const Limits& limits);
  // Signature first, then the manifest: from then on it is listed. The in-progress marker goes last.
  void publish(const Manifest& manifest, const std::optional<io::SigningKey>& key, const Limits& limits);
  void mark(const std::string& label, const std::function<void(Marks&)>& change, const Limits& limits);
  // The manifest first: from then on it is no longer listed.
  void remove(const std::string& label, const Limits& limits);
  // What killed runs left behind.
  void remove_stale(WallTime now, const Limits& limits);

  std::string object(const std::string& label, const std::string& part) const { return folder_ + "/" + label + "/" + part; }
  store::Store& store() { return store_; }
  const std::string& folder() const { return folder_; }

 private:
  Entry read(const std::string& label, const Limits& limits);
  std::vector<Unfinished> marked(WallTime now, const Limits& limits);  // with a marker, or without a manifest
  using Objects = std::map<std::string, std::uint64_t>;            // name below the label's folder → size
  std::map<std::string, Objects> labels(const Limits& limits);
  std::string missing(const Manifest& manifest, const Objects& objects, const Limits& limits);  // empty: every part is there

  store::Store& store_;
  std::string folder_, trusted_;
};

}  // namespace codops::backup
