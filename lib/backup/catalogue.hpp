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

#include "lib/backup/label.hpp"
#include "lib/backup/manifest.hpp"
#include "lib/backup/retention.hpp"
#include "lib/base/cancel.hpp"
#include "lib/base/clock.hpp"
#include "lib/io/crypto.hpp"
#include "lib/store/store.hpp"

namespace codops::backup {

struct Marks {
  bool pinned{};
  bool unreadable{};                   // what is there is no marks: it counts as pinned, which it may have been
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
  std::vector<std::string> passed_over{};  // by find("latest"): the newer ones that are not sound, and why

  bool sound() const { return marks.damage.empty() && trust != Trust::invalid; }
  // Damage says more than a signature does: it is what somebody who could read it found.
  Standing standing() const {
    if (!marks.damage.empty()) return Standing::damaged;
    return trust == Trust::invalid ? Standing::untrusted : manifest.safety ? Standing::safety : Standing::verified;
  }
};

// Published, but its manifest can't be read, or its stamp is of no time that a backup could have been taken at: nobody can say
// what it is, so that nothing counts on it, and nothing removes it by itself.
struct Broken {
  std::string label, why, hint;
  bool pinned{};
  bool dated{true};  // false: its stamp is no time, so that it is newer than nothing

  std::string text() const { return "backup " + label + " can't be used: " + why; }
};

struct Unfinished {
  std::string label, host;
  std::int64_t pid{};
  std::optional<WallTime> started;
  bool stale{};      // nobody works at it any more
  bool published{};  // its manifest is there: it is listed all the same
};

const Clock& machine_clock();

class Catalogue {
 public:
  // `trusted`: the public key that manifests must be signed with; empty: any signature, or none, will do.
  Catalogue(store::Store& store, std::string folder, std::string trusted = {}, const Clock& clock = machine_clock());

  // Finished ones, oldest first by label; one whose parts are gone or of another size than its manifest says is damaged. One
  // whose manifest can't be read is in `broken`, when given, else a Failure.
  std::vector<Entry> list(const Limits& limits, std::vector<Broken>* broken = nullptr);
  // By label, by tag (its newest), or "latest" (the newest that is sound, and no safety backup of a restore). Throws Failure{usage} when there is none,
  // Failure{data} when its manifest can't be read or its signature is wrong.
  Entry find(const std::string& name, const Limits& limits);
  std::vector<Unfinished> unfinished(WallTime now, const Limits& limits);

  std::optional<std::string> newest_label(const Limits& limits);  // unfinished ones included

  // Failure{data} when there is something under that label.
  void begin(const std::string& label, WallTime now, const Limits& limits);
  // Signature first, then the manifest: from then on it is listed. The in-progress marker goes last. Failure{data} when there is
  // a manifest: no backup takes another's place.
  void publish(const Manifest& manifest, const std::optional<io::SigningKey>& key, const Limits& limits);
  void mark(const std::string& label, const std::function<void(Marks&)>& change, const Limits& limits);
  // What keeps it from being removed, in words: the store's retention, somebody who reads it. Empty: nothing does.
  std::string held_by(const std::string& label, const Limits& limits);
  // The manifest first: from then on it is no longer listed. Failure{locked}: see held_by().
  void remove(const std::string& label, const Limits& limits);
  // What killed runs left behind.
  void remove_stale(WallTime now, const Limits& limits);

  std::string object(const std::string& label, const std::string& part) const { return folder_ + "/" + label + "/" + part; }
  store::Store& store() { return store_; }
  const Clock& clock() const { return clock_; }
  bool published(const std::string& label, const Limits& limits);
  const std::string& folder() const { return folder_; }
  // What a printed command must say again to come here: " --store /backups".
  void reach_by(std::string options) { options_ = std::move(options); }
  const std::string& reached_by() const { return options_; }

 private:
  std::string reader_of(const std::string& label, const Limits& limits);
  std::optional<Entry> read(const std::string& label, const Limits& limits);  // nullopt: removed meanwhile
  std::unique_ptr<store::StoreLock> lock_marks(const Limits& limits);  // nullptr: go on without
  bool pinned(const std::string& label, const Limits& limits);
  std::vector<Unfinished> marked(WallTime now, const Limits& limits);  // with a marker, or without a manifest
  using Objects = std::map<std::string, std::uint64_t>;            // name below the label's folder → size
  std::map<std::string, Objects> labels(const Limits& limits, std::map<std::string, Objects>* impossible = nullptr);
  std::string missing(const Manifest& manifest, const Objects& objects, const Limits& limits);  // empty: every part is there

  store::Store& store_;
  std::string folder_, trusted_, options_;
  const Clock& clock_;
};

// What `name` means among these, the signature left aside: a label, a tag (its newest), "latest" (the newest that is sound, and no safety backup of a restore).
const Entry* named(const std::vector<Entry>& entries, const std::string& name);

}  // namespace codops::backup
