#include "lib/backup/retention.hpp"

namespace codops::backup {
namespace {

using Day = std::chrono::sys_days;

Day day_of(WallTime time) { return std::chrono::floor<std::chrono::days>(time); }

// The number of a calendar period, whatever its kind: equal for two times in the same one.
std::int64_t day_number(Day day) { return day.time_since_epoch().count(); }
// ISO weeks begin on Monday; 1970-01-01 was a Thursday.
std::int64_t week_number(Day day) { return (day.time_since_epoch().count() + 3 + 7 * 100'000) / 7; }
std::int64_t month_number(Day day) {
  const std::chrono::year_month_day date{day};
  return static_cast<int>(date.year()) * 12 + static_cast<std::int64_t>(static_cast<unsigned>(date.month()));
}
std::int64_t year_number(Day day) { return static_cast<int>(std::chrono::year_month_day{day}.year()); }

class Decision {
 public:
  Decision(const Policy& policy, const std::vector<Candidate>& candidates, WallTime now)
      : policy_{policy}, candidates_{candidates}, now_{now}, reasons_(candidates.size()) {}

  std::vector<Verdict> make() {
    if (keeps_everything()) {
      for (auto& reasons : reasons_) reasons.emplace_back("no rule drops anything");
    }
    pinned();
    newest(policy_.keep_min, "keep_min");
    if (policy_.count) newest(*policy_.count, "count");
    young();
    calendar(policy_.daily, day_number, "daily");
    calendar(policy_.weekly, week_number, "weekly");
    calendar(policy_.monthly, month_number, "monthly");
    calendar(policy_.yearly, year_number, "yearly");
    unverified_evidence();
    return verdicts();
  }

 private:
  bool keeps_everything() const {
    return !policy_.count && policy_.days <= 0 && policy_.daily <= 0 && policy_.weekly <= 0 && policy_.monthly <= 0 &&
           policy_.yearly <= 0;
  }

  void pinned() {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      if (candidates_[i].pinned) reasons_[i].emplace_back("pinned");
    }
  }

  bool verified(std::size_t i) const { return candidates_[i].standing == Standing::verified; }
  bool counts(std::size_t i, bool with_untrusted) const {
    return verified(i) || (with_untrusted && candidates_[i].standing == Standing::untrusted);
  }
  // First among the verified alone, then once more with the untrusted between them: those it finds are kept beside.
  void keep(std::size_t i, bool with_untrusted, std::string reason) {
    if (with_untrusted == !verified(i)) reasons_[i].push_back(std::move(reason));
  }

  void newest(std::int64_t how_many, std::string_view rule) {
    for (const bool with_untrusted : {false, true}) {
      std::int64_t seen = 0;
      for (std::size_t i = candidates_.size(); i-- > 0 && seen < how_many;) {
        if (!counts(i, with_untrusted)) continue;
        ++seen;
        keep(i, with_untrusted, fmt::format("{}: {} of {}", rule, seen, how_many));
      }
    }
  }

  void young() {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const auto age = now_ - candidates_[i].time;
      if (age >= Milliseconds{0} && age <= std::chrono::days{policy_.days} && policy_.days > 0) {
        reasons_[i].push_back(fmt::format("days: within {}", policy_.days));
      }
    }
  }

  void calendar(std::int64_t how_many, std::int64_t (*number)(Day), std::string_view rule) {
    for (const bool with_untrusted : {false, true}) {
      std::set<std::int64_t> periods;
      for (std::size_t i = candidates_.size(); i-- > 0;) {
        const auto& candidate = candidates_[i];
        if (!counts(i, with_untrusted) || candidate.time > now_) continue;
        if (static_cast<std::int64_t>(periods.size()) >= how_many) break;
        if (periods.insert(number(day_of(candidate.time))).second) {
          keep(i, with_untrusted, fmt::format("{}: {} of {}", rule, periods.size(), how_many));
        }
      }
    }
  }

  void unverified_evidence() {
    for (std::size_t i = candidates_.size(); i-- > 0 && !verified(i);) reasons_[i].emplace_back("nothing newer is verified");
  }

  std::vector<Verdict> verdicts() {
    std::vector<Verdict> all;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const bool keep = !reasons_[i].empty();
      if (!keep) {
        reasons_[i].push_back(candidates_[i].time > now_ ? "dated in the future, and newer ones are kept"
                              : candidates_[i].standing != Standing::damaged ? "no rule keeps it"
                                                                             : "damaged, and a newer one is verified");
      }
      all.push_back({candidates_[i].label, keep, std::move(reasons_[i])});
    }
    return all;
  }

  const Policy& policy_;
  const std::vector<Candidate>& candidates_;
  WallTime now_;
  std::vector<std::vector<std::string>> reasons_;
};

}  // namespace

std::vector<Verdict> decide(const Policy& policy, const std::vector<Candidate>& candidates, WallTime now) {
  return Decision{policy, candidates, now}.make();
}

}  // namespace codops::backup
