#include "lib/backup/reading.hpp"

#include "lib/backup/hints.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/store/lock_text.hpp"

namespace codops::backup {
namespace {

constexpr std::string_view reading_prefix = "reading-";
constexpr std::chrono::hours longest_reading{48};

}  // namespace

Reading::Reading(Catalogue& catalogue, const std::string& label, const Limits& limits)
    : catalogue_{catalogue}, object_{catalogue.object(label, fmt::format("{}{}.json", reading_prefix, io::to_hex(io::random_bytes(6))))} {
  try {
    catalogue_.store().put(object_, to_json(store::new_lock_text(catalogue_.clock().now())), limits);
  } catch (const Failure& failure) {
    if (failure.code() != Exit::failed && failure.code() != Exit::config) throw;
    object_.clear();
  }
  // Looked at afterwards: who removes it looks for readers once it is no longer listed.
  if (!catalogue_.published(label, limits)) {
    try {
      if (!object_.empty()) catalogue_.store().remove(std::exchange(object_, {}), limits);
    } catch (const Failure&) {
      // The next prune removes it.
    }
    throw Failure{Exit::data, fmt::format("backup {} has just been removed", label), see_list(catalogue_)};
  }
}

Reading::~Reading() {
  if (object_.empty()) return;
  try {
    catalogue_.store().remove(object_, Limits{}.within(Milliseconds{15'000}));
  } catch (const std::exception&) {
    // Nobody minds one whose process is gone.
  }
}

bool is_reading(std::string_view part) { return part.starts_with(reading_prefix) && part.ends_with(".json"); }

bool is_at_work(const std::string& text, WallTime now) {
  const auto found = store::parse_lock_text(text);
  if (found.holder.host.empty() || !found.holder.since || found.holder_is_gone()) return false;
  const auto age = now - *found.holder.since;
  return age < longest_reading && age > -longest_reading;
}

}  // namespace codops::backup
