// One backup by what somebody typed.
#include "lib/backup/catalogue.hpp"
#include "lib/backup/hints.hpp"
#include "lib/base/failure.hpp"

namespace codops::backup {
namespace {

// Every one that is newer than `label`, which is the newest sound one, with what keeps it from being that.
std::vector<std::string> newer_than(const std::string& label, const std::vector<Entry>& entries, const std::vector<Broken>& broken) {
  std::vector<std::string> passed;
  for (const auto& entry : entries) {
    if (entry.manifest.label <= label || (entry.sound() && entry.manifest.safety)) continue;
    const auto& damage = entry.marks.damage;
    passed.push_back(fmt::format("backup {} is newer, and passed over: {}", entry.manifest.label,
                                 damage.empty() ? "it is not signed by the trusted key" : "it is damaged: " + damage));
  }
  for (const auto& it : broken) {
    if (it.dated && it.label > label) passed.push_back(fmt::format("backup {} is newer, and passed over: {}", it.label, it.why));
  }
  std::sort(passed.begin(), passed.end());
  return passed;
}

}  // namespace

const Entry* named(const std::vector<Entry>& entries, const std::string& name) {
  for (auto at = entries.rbegin(); at != entries.rend(); ++at) {
    const bool wanted = name == latest_word ? at->sound() && !at->manifest.safety : at->manifest.label == name || (!name.empty() && at->manifest.tag == name);
    if (wanted) return &*at;
  }
  return nullptr;
}

Entry Catalogue::find(const std::string& name, const Limits& limits) {
  std::vector<Broken> broken;
  const auto entries = list(limits, &broken);
  for (const auto& it : broken) {
    if (it.label == name) throw Failure{Exit::data, it.text(), it.hint.empty() ? see_list(*this) : it.hint};
  }
  if (const auto* found = named(entries, name)) {
    if (found->trust == Trust::invalid) {
      throw Failure{Exit::data, fmt::format("backup {} is not signed by the trusted key", found->manifest.label),
                    "somebody else may have written it; look at backup.signing_key"};
    }
    auto entry = *found;
    if (name == latest_word) entry.passed_over = newer_than(entry.manifest.label, entries, broken);
    return entry;
  }
  if (name == latest_word && std::any_of(entries.begin(), entries.end(), [](const auto& entry) { return entry.sound(); })) {
    throw Failure{Exit::data, fmt::format("the only sound backups in {} are those that restores took of what they replaced", store_.describe()),
                  "if one of them is meant, name it by its stamp; " + see_list(*this)};
  }
  if (const auto count = entries.size() + broken.size(); name == latest_word && count > 0) {
    throw Failure{Exit::data, fmt::format("none of the {} backups in {} is sound", count, store_.describe()), see_list(*this)};
  }
  if (name == latest_word) throw Failure{Exit::usage, fmt::format("no backup in {}", store_.describe())};
  std::vector<std::string> known;
  for (const auto& entry : entries) known.push_back(entry.manifest.label);
  const auto near = nearest(name, known);
  throw Failure{Exit::usage, fmt::format("no backup \"{}\" in {}", name, store_.describe()),
                near.empty() ? see_list(*this) : fmt::format("did you mean {}?", near)};
}

}  // namespace codops::backup
