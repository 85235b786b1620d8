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
      : policy_{policy}, candidates_{candidates}, now_{now}, reasons_(candidates.size()) {
    for (const auto& candidate : candidates_) times_.push_back(candidate.time);
    correct_times();
  }

  std::vector<Verdict> make() {
    if (keeps_everything()) {
      for (auto& reasons : reasons_) reasons.emplace_back("no rule drops anything");
    }
    pinned();
    clock_behind();
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
  // First among the verified alone, then once more with those of another standing between them: what it finds is kept beside.
  static constexpr std::array passes{Standing::verified, Standing::untrusted, Standing::safety};
  bool counts(std::size_t i, Standing with) const { return verified(i) || candidates_[i].standing == with; }
  void keep(std::size_t i, Standing with, std::string reason) {
    if (candidates_[i].standing == with) reasons_[i].push_back(std::move(reason));
  }

  bool by_clock() const { return policy_.days > 0 || policy_.daily > 0 || policy_.weekly > 0 || policy_.monthly > 0 || policy_.yearly > 0; }

  // Stamps ahead of the clock were wrong, not the clock, when more verified ones than they are have followed them by a clock that ran
  // evenly up to now: then they are as old as what came next.
  void correct_times() {
    const Milliseconds most = std::chrono::days{policy_.days > 0 ? policy_.days : 31};
    std::size_t ahead = 0, first_after = 0;
    for (std::size_t i = 0; i < times_.size(); ++i) {
      if (times_[i] <= now_) continue;
      ++ahead;
      first_after = i + 1;
    }
    std::size_t verified_after = 0;
    for (std::size_t i = first_after; i < times_.size(); ++i) {
      const auto step = (i + 1 < times_.size() ? times_[i + 1] : now_) - times_[i];
      if (step < Milliseconds{0} || step > most) return;
      verified_after += verified(i) ? 1U : 0U;
    }
    if (verified_after <= ahead) return;
    for (auto i = times_.size(); i-- > 0;) {
      if (times_[i] > now_) times_[i] = times_[i + 1];
    }
  }

  // Which of the two clocks was wrong nobody can tell.
  void clock_behind() {
    const auto ahead = std::max_element(times_.begin(), times_.end());
    if (!by_clock() || ahead == times_.end() || *ahead <= now_) return;
    const auto reason = fmt::format("the clock is behind {}, so days say nothing until more backups have followed; set the clock, or remove that one if its date is wrong",
                                    candidates_[static_cast<std::size_t>(ahead - times_.begin())].label);
    for (auto& reasons : reasons_) reasons.push_back(reason);
  }

  void newest(std::int64_t how_many, std::string_view rule) {
    for (const auto with : passes) {
      std::int64_t seen = 0;
      for (std::size_t i = candidates_.size(); i-- > 0 && seen < how_many;) {
        if (!counts(i, with)) continue;
        ++seen;
        keep(i, with, fmt::format("{}: {} of {}", rule, seen, how_many));
      }
    }
  }

  void young() {
    if (policy_.days <= 0) return;
    const Milliseconds most = std::chrono::days{policy_.days};
    std::vector<bool> leaps(candidates_.size() + 1);  // right before that one; the last: before now
    Milliseconds longest{0};
    for (std::size_t i = 1; i <= candidates_.size(); ++i) {
      const auto gap = (i < times_.size() ? times_[i] : now_) - times_[i - 1];
      leaps[i] = gap > most && gap > 3 * longest;
      longest = std::max(longest, gap);
    }
    std::optional<WallTime> after_leap;
    for (std::size_t i = candidates_.size(); i-- > 0;) {
      if (!after_leap && leaps[i + 1]) after_leap = i + 1 < times_.size() ? times_[i + 1] : now_;
      const auto& time = times_[i];
      if (time > now_) continue;
      if (now_ - time <= most) {
        reasons_[i].push_back(fmt::format("days: within {}", policy_.days));
      } else if (after_leap && now_ - *after_leap >= Milliseconds{0} && now_ - *after_leap <= most) {
        reasons_[i].push_back(fmt::format("days: the clock leapt ahead, and {} have not passed since {}", policy_.days, to_rfc3339(*after_leap)));
      }
    }
  }

  void calendar(std::int64_t how_many, std::int64_t (*number)(Day), std::string_view rule) {
    for (const auto with : passes) {
      std::set<std::int64_t> periods;
      for (std::size_t i = candidates_.size(); i-- > 0;) {
        if (!counts(i, with) || times_[i] > now_) continue;
        if (static_cast<std::int64_t>(periods.size()) >= how_many) break;
        if (periods.insert(number(day_of(times_[i]))).second) {
          keep(i, with, fmt::format("{}: {} of {}", rule, periods.size(), how_many));
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
        reasons_[i].push_back(times_[i] > now_ ? "dated in the future, and newer ones are kept"
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
  std::vector<WallTime> times_;  // of the candidates, as far as the clock can be believed
  std::vector<std::vector<std::string>> reasons_;
};

}  // namespace

std::vector<Verdict> decide(const Policy& policy, const std::vector<Candidate>& candidates, WallTime now) {
  return Decision{policy, candidates, now}.make();
}

}  // namespace codops::backup
