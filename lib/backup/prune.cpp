// Which backups go: the rules, what is no business of theirs, and the removal itself.
#include <algorithm>

#include "lib/backup/backup.hpp"
#include "lib/backup/hints.hpp"
#include "lib/backup/session.hpp"
#include "lib/backup/snapshot.hpp"

namespace codops::backup {

AskOrigin origin_of(io::postgres::Target database, const Limits& limits) {
  return [database = std::move(database), &limits]() -> std::optional<DatabaseIdentity> {
    try {
      auto connection = open_session(database, limits.within(Milliseconds{10'000}));
      return ask_origin(connection, database.database, limits.within(Milliseconds{10'000}));
    } catch (const Failure&) {
      limits.check("asking the database who it is");
      return std::nullopt;
    }
  };
}

namespace {

bool is_of_another(const Entry& entry, const std::optional<DatabaseIdentity>& reference) {
  return reference && entry.manifest.database && !same_database(*entry.manifest.database, *reference);
}

bool of_several(const std::vector<Entry>& entries, const std::optional<DatabaseIdentity>& own) {
  const auto reference = own ? own : entries.empty() ? std::nullopt : entries.back().manifest.database;
  return std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) { return is_of_another(entry, reference); });
}

// Those that are not of `own`, with why they stay. Without it: all, as soon as they are of several.
std::vector<Verdict> of_others(std::vector<Entry>& entries, const std::optional<DatabaseIdentity>& own) {
  std::vector<Verdict> others;
  if (!of_several(entries, own)) return others;
  const auto stays = [&](const Entry& entry) { return !own || is_of_another(entry, own); };
  for (const auto& entry : entries) {
    if (!stays(entry)) continue;
    const auto whose = entry.manifest.database ? origin_text(*entry.manifest.database) : std::string{"no database"};
    others.push_back({entry.manifest.label, true, {own ? fmt::format("of {}, another database: no rule of this one removes it", whose)
                                                       : fmt::format("of {}: there are backups of several databases here, and this environment's can't be asked who it is", whose)}});
  }
  std::erase_if(entries, stays);
  return others;
}

std::vector<Verdict> decide(const Policy& policy, const std::vector<Entry>& entries, WallTime now) {
  std::vector<Candidate> candidates;
  for (const auto& entry : entries) {
    candidates.push_back({entry.manifest.label, entry.manifest.started, entry.standing(), entry.marks.pinned});
  }
  return decide(policy, candidates, now);
}

bool drops_any(const std::vector<Verdict>& verdicts) {
  return std::any_of(verdicts.begin(), verdicts.end(), [](const Verdict& verdict) { return !verdict.keep; });
}

}  // namespace

Pruning prune(Catalogue& catalogue, const Policy& policy, WallTime now, bool dry_run, const Limits& limits, const AskOrigin& own) {
  std::vector<Broken> broken;
  auto entries = catalogue.list(limits, &broken);
  const bool matters = own && (of_several(entries, std::nullopt) || drops_any(decide(policy, entries, now)));
  const auto others = of_others(entries, matters ? own() : std::nullopt);
  Pruning pruning{decide(policy, entries, now), {}, std::move(broken)};
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].marks.unreadable) continue;
    pruning.verdicts[i].reasons = {fmt::format("its marks can't be read, and it may be pinned; codops backup pin {} {} writes them anew, --off without the pin", environment_of(catalogue), entries[i].manifest.label)};
  }
  pruning.verdicts.insert(pruning.verdicts.end(), others.begin(), others.end());
  std::sort(pruning.verdicts.begin(), pruning.verdicts.end(), [](const auto& a, const auto& b) { return a.label < b.label; });
  // What may not be removed is told by the first backup that should go.
  if (!dry_run) catalogue.remove_stale(now, limits);
  for (auto& verdict : pruning.verdicts) {
    if (verdict.keep) continue;
    auto why = catalogue.held_by(verdict.label, limits);
    if (why.empty() && !dry_run) {
      try {
        catalogue.remove(verdict.label, limits);
      } catch (const Failure& failure) {
        if (failure.code() != Exit::locked) throw;  // since we looked
        why = failure.message();
      }
    }
    if (why.empty()) {
      pruning.removed.push_back(verdict.label);
    } else {
      verdict.keep = true;
      verdict.reasons = {why};
    }
  }
  return pruning;
}

}  // namespace codops::backup
