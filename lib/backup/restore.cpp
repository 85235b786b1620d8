#include "lib/backup/restore.hpp"

#include "lib/backup/swap.hpp"
#include "lib/base/failure.hpp"
#include "lib/base/units.hpp"

namespace codops::backup {
namespace {

using io::postgres::Connection;
using io::postgres::Target;

// Renaming a database takes a session in another one.
Target beside(const Target& target, const std::string& database) {
  auto other = target;
  other.database = database == "postgres" ? "template1" : "postgres";
  other.schema.clear();
  return other;
}

Target in_database(const Target& target, const std::string& name) {
  auto other = target;
  other.database = name;
  other.schema.clear();
  return other;
}

class Steps {
 public:
  Steps(Reporter& reporter, const Clock& clock) : reporter_{reporter}, clock_{clock} {}

  template <typename Work>
  void step(std::string name, const Work& work) {
    const auto started = clock_.steady();
    report(Event::Kind::started, name, {}, {});
    try {
      const std::string said = work();
      report(Event::Kind::done, name, said, elapsed(started));
    } catch (const Failure& failure) {
      report(Event::Kind::failed, name, failure.message(), elapsed(started));
      throw;
    }
  }

 private:
  Milliseconds elapsed(std::chrono::steady_clock::time_point since) const {
    return std::chrono::duration_cast<Milliseconds>(clock_.steady() - since);
  }
  void report(Event::Kind kind, const std::string& name, std::string text, std::optional<Milliseconds> took) {
    Event event;
    event.kind = kind;
    event.step = name;
    event.text = std::move(text);
    event.elapsed = took;
    reporter_.report(event);
  }
  Reporter& reporter_;
  const Clock& clock_;
};

// The database that is being filled: dropped unless it was handed over.
class Fresh {
 public:
  Fresh(Target server, std::string name) : server_{std::move(server)}, name_{std::move(name)} {}
  Fresh(const Fresh&) = delete;
  Fresh& operator=(const Fresh&) = delete;
  ~Fresh() {
    if (kept_) return;
    try {
      const auto limits = Limits{}.within(Milliseconds{20'000});
      auto connection = Connection::open(server_, limits);
      drop_database(connection, name_, limits);
    } catch (const std::exception&) {
      // The server is gone; its name says what it is: the next restore to it is announced.
    }
  }
  void keep() { kept_ = true; }
  const std::string& name() const { return name_; }

 private:
  Target server_;
  std::string name_;
  bool kept_{};
};

class Stopped {
 public:
  Stopped(const RestoreHooks& hooks, const Limits& limits) : hooks_{hooks} {
    if (!hooks_.stop) return;
    active_ = true;
    hooks_.stop(limits);
  }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  ~Stopped() {
    if (!active_ || !hooks_.start) return;
    try {
      hooks_.start(Limits{}.within(Milliseconds{120'000}));
    } catch (const std::exception&) {
      // The failure that brought us here is the one to tell.
    }
  }
  void start(const Limits& limits) {
    active_ = false;
    if (hooks_.start) hooks_.start(limits);
  }

 private:
  const RestoreHooks& hooks_;
  bool active_{};
};

std::vector<const Part*> needed_parts(const Manifest& manifest) {
  std::vector<const Part*> parts;
  for (const auto& part : manifest.parts) {
    if (part.kind == "archive" || part.kind == "rows") parts.push_back(&part);
  }
  if (parts.empty()) {
    for (const auto& part : manifest.parts) {
      if (part.kind == "sql") parts.push_back(&part);
    }
  }
  if (parts.empty()) throw Failure{Exit::data, fmt::format("backup {} has no database", manifest.label)};
  return parts;
}

// Every stored byte against the manifest, and the key against the first header: before anything is written.
void check_backup(Catalogue& catalogue, const Entry& entry, const Keyring& keys, const Limits& limits) {
  const auto folder = catalogue.folder() + "/" + entry.manifest.label;
  const auto parts = needed_parts(entry.manifest);
  for (const auto* part : parts) check_stored(catalogue.store(), folder, *part, limits);
  const PartReader opened{catalogue.store(), folder, *parts.front(), keys, limits};
}

std::string swap_in(Connection& server, const Subject& subject, Fresh& fresh, const RestoreHooks& hooks,
                    const Clock& clock, Milliseconds& downtime, const Limits& limits) {
  const auto& live = subject.database.database;
  auto aside = side_name(live, "before", clock.now());
  copy_properties(server, live, fresh.name(), limits);
  const auto from = clock.steady();
  Stopped stopped{hooks, limits};
  swap_databases(server, live, fresh.name(), aside, limits);
  fresh.keep();
  stopped.start(limits);
  downtime = std::chrono::duration_cast<Milliseconds>(clock.steady() - from);
  return aside;
}

}  // namespace

std::vector<Finding> check_restore(Catalogue& catalogue, const Subject& subject, const RestoreRequest& request,
                                   const Keyring& keys, const Limits& limits) {
  auto server = Connection::open(beside(subject.database, subject.database.database), limits);
  if (!request.file.empty()) {
    const auto programs = find_programs(server.server_version() / 10000, subject.database, subject.container, limits);
    check_dump_file(request.file, *programs, limits);
    return {};
  }
  const auto entry = catalogue.find(request.backup, limits);
  check_backup(catalogue, entry, keys, limits);
  return entry.manifest.database ? preflight(*entry.manifest.database, server, limits) : std::vector<Finding>{};
}

Restored restore(Catalogue& catalogue, const Subject& subject, const RestoreRequest& request, const Options& safety,
                 const RestoreHooks& hooks, const Keyring& keys, const Clock& clock, Reporter& reporter,
                 const Limits& limits) {
  const auto started = clock.steady();
  const auto& live = subject.database.database;
  Steps steps{reporter, clock};
  Restored result;
  auto server = Connection::open(beside(subject.database, live), limits);
  const auto programs = find_programs(server.server_version() / 10000, subject.database, subject.container, limits);
  const bool live_exists = database_exists(server, live, limits);

  std::optional<Entry> entry;
  DumpKind kind{};
  DatabaseShape shape;
  steps.step("check", [&] {
    if (!request.file.empty()) {
      kind = check_dump_file(request.file, *programs, limits);
      result.source = request.file.string();
    } else {
      entry = catalogue.find(request.backup, limits);
      check_backup(catalogue, *entry, keys, limits);
      result.source = entry->manifest.label;
      if (entry->manifest.database) {
        const auto& identity = *entry->manifest.database;
        const auto findings = preflight(identity, server, limits);
        require_possible(findings);
        for (const auto& finding : findings) result.notes.push_back(finding.message);
        shape = {identity.encoding, identity.collate, identity.ctype, identity.owner};
      }
    }
    if (!request.into.empty() && database_exists(server, request.into, limits)) {
      throw Failure{Exit::usage, fmt::format("database \"{}\" exists", request.into), "name one that does not, with --into"};
    }
    return fmt::format("{} is whole", result.source);
  });

  if (shape.encoding.empty() && live_exists) shape = shape_of(server, live, limits);
  const bool swapping = request.into.empty();
  if (swapping && live_exists && request.safety_backup) {
    // Its own pruning could remove the very backup that is being restored.
    auto options = safety;
    options.prune.reset();
    options.tag = "before restore of " + result.source;
    result.safety_backup = take(catalogue, subject, options, keys, clock, reporter, limits).manifest.label;
  }

  Fresh fresh{server.target(), swapping ? side_name(live, "new", clock.now()) : request.into};
  const auto target = in_database(subject.database, fresh.name());
  Progress progress{reporter, clock, "restore", entry ? entry->manifest.plain_size() : 0};
  steps.step("restore", [&] {
    create_database(server, fresh.name(), shape, limits);
    if (entry) {
      load_backup(catalogue, entry->manifest, keys, target, *programs, request.load, progress, limits);
      result.rows = entry->manifest.rows();
    } else {
      load_file(request.file, kind, target, *programs, request.load, limits);
    }
    return fmt::format("{} rows into \"{}\"", result.rows, fresh.name());
  });
  if (hooks.migrate) {
    steps.step("migrate", [&] {
      hooks.migrate(target, limits);
      return std::string{};
    });
  }
  if (!swapping) {
    fresh.keep();
    result.database = fresh.name();
  } else if (!live_exists) {
    server.run(fmt::format("ALTER DATABASE {} RENAME TO {}", io::postgres::quote_identifier(fresh.name()),
                           io::postgres::quote_identifier(live)),
               limits);
    fresh.keep();
    result.database = live;
  } else {
    steps.step("swap", [&] {
      result.aside = swap_in(server, subject, fresh, hooks, clock, result.downtime, limits);
      return fmt::format("\"{}\" is kept as \"{}\"", live, result.aside);
    });
    result.database = live;
  }
  result.took = std::chrono::duration_cast<Milliseconds>(clock.steady() - started);
  return result;
}

Restored undo_restore(const Subject& subject, const RestoreHooks& hooks, const Clock& clock, Reporter& reporter,
                      const Limits& limits) {
  const auto started = clock.steady();
  const auto& live = subject.database.database;
  auto server = Connection::open(beside(subject.database, live), limits);
  const auto before = put_aside(server, live, limits);
  if (!before) {
    throw Failure{Exit::usage, fmt::format("no restore of \"{}\" can be undone: nothing was put aside", live),
                  "see: codops backup list"};
  }
  Restored result;
  Steps steps{reporter, clock};
  steps.step("swap", [&] {
    // Its name must not look like something that can be swapped in once more.
    result.aside = side_name(live, "undone", clock.now());
    Stopped stopped{hooks, limits};
    const auto from = clock.steady();
    swap_databases(server, live, *before, result.aside, limits);
    result.downtime = std::chrono::duration_cast<Milliseconds>(clock.steady() - from);
    stopped.start(limits);
    return fmt::format("\"{}\" is live again, what was live is \"{}\"", *before, result.aside);
  });
  result.database = live;
  result.source = *before;
  result.took = std::chrono::duration_cast<Milliseconds>(clock.steady() - started);
  return result;
}

}  // namespace codops::backup
