#include "lib/backup/retention.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace codops;
using namespace codops::backup;

namespace {

constexpr WallTime epoch = WallTime{std::chrono::sys_days{std::chrono::year{2026} / 11 / 23}};

std::vector<std::string> kept(const Policy& policy, const std::vector<Candidate>& candidates, WallTime now) {
  std::vector<std::string> labels;
  for (const auto& verdict : decide(policy, candidates, now)) {
    CHECK_FALSE(verdict.reasons.empty());
    if (verdict.keep) labels.push_back(verdict.label);
  }
  return labels;
}

std::string period(char kind, WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const auto year = std::to_string(static_cast<int>(date.year()));
  if (kind == 'y') return year;
  if (kind == 'm') return year + "-" + std::to_string(static_cast<unsigned>(date.month()));
  if (kind == 'd') return year + "-" + std::to_string(static_cast<unsigned>(date.month())) + "-" + std::to_string(static_cast<unsigned>(date.day()));
  // The Monday that begins the week names it.
  auto monday = day;
  while (std::chrono::weekday{monday} != std::chrono::Monday) monday -= std::chrono::days{1};
  return period('d', monday);
}

// Whether what came after the last stamp ahead outnumbers those ahead and shows that the clock runs evenly.
bool clock_is_proven(const Policy& policy, const std::vector<Candidate>& all, WallTime now) {
  const auto ahead = std::count_if(all.begin(), all.end(), [&](const Candidate& one) { return one.time > now; });
  const auto last = std::find_if(all.rbegin(), all.rend(), [&](const Candidate& one) { return one.time > now; }).base();
  std::vector<WallTime> since;
  for (auto it = last; it != all.end(); ++it) since.push_back(it->time);
  since.push_back(now);
  const auto even = std::adjacent_find(since.begin(), since.end(), [&](WallTime a, WallTime b) { return b < a || b - a > std::chrono::hours{24 * (policy.days > 0 ? policy.days : 31)}; }) == since.end();
  return even && std::count_if(last, all.end(), [](const Candidate& one) { return one.standing == Standing::verified; }) > ahead;
}

// The rules once more, each by its definition and one candidate at a time.
bool model_keeps(const Policy& policy, std::vector<Candidate> all, std::size_t which, WallTime now) {
  if (clock_is_proven(policy, all, now)) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].time > now) all[i].time = std::find_if(all.begin() + static_cast<std::ptrdiff_t>(i), all.end(), [&](const Candidate& one) { return one.time <= now; })->time;
    }
  }
  const auto& candidate = all[which];
  if (candidate.pinned) return true;
  if (!policy.count && policy.days <= 0 && policy.daily <= 0 && policy.weekly <= 0 && policy.monthly <= 0 && policy.yearly <= 0) return true;
  // No day can be counted while a stamp is in the future.
  const bool by_clock = policy.days > 0 || policy.daily > 0 || policy.weekly > 0 || policy.monthly > 0 || policy.yearly > 0;
  for (const auto& other : all) {
    if (by_clock && other.time > now) return true;
  }
  std::int64_t newer_verified = 0;
  // Its place is taken by every verified one; an untrusted one's by the untrusted too, a safety one's by other safety ones.
  const auto counts = [&](std::size_t i) {
    return all[i].standing == Standing::verified || (candidate.standing != Standing::damaged && all[i].standing == candidate.standing);
  };
  std::int64_t newer_counted = 0;
  for (std::size_t i = which + 1; i < all.size(); ++i) {
    newer_verified += all[i].standing == Standing::verified ? 1 : 0;
    newer_counted += counts(i) ? 1 : 0;
  }
  const bool past = candidate.time <= now;
  // Days count from the first stamp after the last leap that came after it, a leap being longer than the days and than three times
  // any gap that there was before.
  auto since = candidate.time;
  for (std::size_t i = which + 1; i <= all.size(); ++i) {
    const auto at = [&](std::size_t k) { return k < all.size() ? all[k].time : now; };
    bool leapt = at(i) - at(i - 1) > std::chrono::hours{24 * policy.days};
    for (std::size_t k = 1; k < i; ++k) leapt = leapt && at(i) - at(i - 1) > 3 * (at(k) - at(k - 1));
    if (leapt) since = at(i);
  }
  if (policy.days > 0 && (now - candidate.time <= std::chrono::hours{24 * policy.days} || now - since <= std::chrono::hours{24 * policy.days})) return true;
  if (candidate.standing != Standing::verified && newer_verified == 0) return true;
  if (candidate.standing == Standing::damaged) return false;
  if (newer_counted < policy.keep_min) return true;
  if (policy.count && newer_counted < *policy.count) return true;
  if (!past) return false;
  for (const auto& [kind, limit] : {std::pair{'d', policy.daily}, {'w', policy.weekly}, {'m', policy.monthly}, {'y', policy.yearly}}) {
    const auto own = period(kind, candidate.time);
    std::set<std::string> newer;
    for (std::size_t i = which + 1; i < all.size(); ++i) {
      if (counts(i) && all[i].time <= now) newer.insert(period(kind, all[i].time));
    }
    if (!newer.contains(own) && static_cast<std::int64_t>(newer.size()) < limit) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("seven days by default, and the newest verified one whatever its age") {
  std::vector<Candidate> candidates;
  for (int day = 10; day >= 0; --day) candidates.push_back({"b" + std::to_string(day), epoch - std::chrono::days{day}});
  CHECK(kept({}, candidates, epoch) == std::vector<std::string>{"b7", "b6", "b5", "b4", "b3", "b2", "b1", "b0"});
  CHECK(kept({}, candidates, epoch + std::chrono::days{7}) == std::vector<std::string>{"b0"});
  // Longer than that without any may as well be a clock that leapt.
  CHECK(kept({}, candidates, epoch + std::chrono::days{365}).size() == 11);
  candidates.push_back({"later", epoch + std::chrono::days{365}});
  CHECK(kept({}, candidates, epoch + std::chrono::days{372}).size() == 12);
  CHECK(kept({}, candidates, epoch + std::chrono::days{373}) == std::vector<std::string>{"later"});
  candidates.push_back({"latest", epoch + std::chrono::days{373}});
  CHECK(kept({}, candidates, epoch + std::chrono::days{373}) == std::vector<std::string>{"latest"});
  candidates.resize(11);
  candidates.back().standing = Standing::damaged;
  CHECK(kept({}, candidates, epoch + std::chrono::days{7}) == std::vector<std::string>{"b1", "b0"});
}

TEST_CASE("a clock that was wrong once does not drop what is newer by sequence") {
  // The third was taken while the clock was a year ahead: until it is removed nobody knows which clock was wrong.
  std::vector<Candidate> candidates{{"a", epoch - std::chrono::days{3}},
                                    {"b", epoch - std::chrono::days{2}},
                                    {"future", epoch + std::chrono::days{365}},
                                    {"c", epoch - std::chrono::days{1}}};
  Policy policy;
  policy.days = 0;
  policy.count = 2;
  CHECK(kept(policy, candidates, epoch) == std::vector<std::string>{"future", "c"});
  policy = {};
  CHECK(kept(policy, candidates, epoch + std::chrono::days{99}) == std::vector<std::string>{"a", "b", "future", "c"});
  CHECK(decide(policy, candidates, epoch + std::chrono::days{99})[0].reasons.front().starts_with("the clock is behind future"));
}

TEST_CASE("a stamp ahead of the clock stops pruning by days only until what follows outnumbers it") {
  const auto at = [](int day) { return epoch + std::chrono::days{day}; };
  for (const auto ahead : {std::chrono::days{20}, std::chrono::days{365}, std::chrono::days{3000}}) {
    CAPTURE(ahead.count());
    std::vector<Candidate> candidates;
    for (int day = -12; day < 0; ++day) candidates.push_back({"b" + std::to_string(day), at(day)});
    candidates.push_back({"wrong", at(0) + ahead});
    CHECK(kept({}, candidates, at(0)).size() == 13);
    candidates.push_back({"b1", at(1)});
    CHECK(kept({}, candidates, at(1)).size() == 14);
    candidates.push_back({"b2", at(2)});
    CHECK(kept({}, candidates, at(2)) == std::vector<std::string>{"b-5", "b-4", "b-3", "b-2", "b-1", "wrong", "b1", "b2"});
    // It is as old as the one after it.
    for (int day = 3; day <= 9; ++day) candidates.push_back({"b" + std::to_string(day), at(day)});
    CHECK(kept({}, candidates, at(9)) == std::vector<std::string>{"b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9"});
    // What is damaged, or of another key, proves no clock.
    for (auto& candidate : candidates) candidate.standing = Standing::untrusted;
    CHECK(kept({}, candidates, at(9)).size() == candidates.size());
  }
}

TEST_CASE("a dead clock's few backups do not make the many good ones old") {
  std::vector<Candidate> candidates{{"first", epoch - std::chrono::days{3000}}};
  for (int day = -6; day <= 0; ++day) candidates.push_back({"good" + std::to_string(day), epoch + std::chrono::days{day}});
  const auto dead = epoch - std::chrono::days{2000};
  // It begins anew with each start of the machine, or stands a year further.
  candidates.push_back({"dead1", dead});
  candidates.push_back({"dead2", dead + std::chrono::days{365}});
  CHECK(kept({}, candidates, dead + std::chrono::days{366}).size() == candidates.size());
  for (int i = 0; i < 9; ++i) candidates.push_back({"dead", dead});
  CHECK(kept({}, candidates, dead).size() == candidates.size());
  // Nor do many that stand apart by more than the days.
  for (int i = 1; i < 30; ++i) candidates.push_back({"dead", dead + std::chrono::days{8 * i}});
  CHECK(kept({}, candidates, dead + std::chrono::days{8 * 30}).size() == candidates.size());
}

TEST_CASE("a clock that goes wrong now drops none of the good ones by days") {
  std::vector<Candidate> good;
  for (int day = 5; day >= 0; --day) good.push_back({"b" + std::to_string(day), epoch - std::chrono::days{day}});
  for (const auto wrong : {Milliseconds{std::chrono::minutes{-10}}, Milliseconds{std::chrono::days{-365}}, Milliseconds{std::chrono::days{365}}}) {
    CAPTURE(wrong.count());
    for (const bool by_calendar : {false, true}) {
      Policy policy;
      if (by_calendar) {
        policy.days = 0;
        policy.daily = 6;
        if (wrong > Milliseconds{0}) continue;  // a calendar counts periods that have any, however long ago
      }
      auto candidates = good;
      candidates.push_back({"new", epoch + wrong});
      CHECK(kept(policy, candidates, epoch + wrong).size() == 7);
      if (wrong > Milliseconds{0}) {
        candidates.push_back({"newer", epoch + wrong + std::chrono::days{1}});
        CHECK(kept(policy, candidates, epoch + wrong + std::chrono::days{1}).size() == 8);
      }
    }
  }
  // Once as many days have been lived through with it, it is believed.
  auto candidates = good;
  for (int day = 0; day <= 8; ++day) candidates.push_back({"n" + std::to_string(day), epoch + std::chrono::days{365 + day}});
  CHECK(kept({}, candidates, epoch + std::chrono::days{373}).front() == "n1");
}

TEST_CASE("backups that are rarer than the days are no leaps of the clock") {
  std::vector<Candidate> candidates;
  for (int month = 12; month >= 0; --month) candidates.push_back({"m" + std::to_string(month), epoch - std::chrono::days{30 * month}});
  CHECK(kept({}, candidates, epoch) == std::vector<std::string>{"m0"});
}

TEST_CASE("safety backups of restores push no good one out, nor stand in for one") {
  std::vector<Candidate> candidates{{"good1", epoch}, {"good2", epoch}, {"s1", epoch, Standing::safety}, {"s2", epoch, Standing::safety}, {"s3", epoch, Standing::safety}};
  Policy policy;
  policy.days = 0;
  policy.count = 2;
  CHECK(kept(policy, candidates, epoch) == std::vector<std::string>{"good1", "good2", "s1", "s2", "s3"});
  candidates.push_back({"good3", epoch});
  CHECK(kept(policy, candidates, epoch) == std::vector<std::string>{"good2", "s3", "good3"});
}

TEST_CASE("what this reader does not trust takes nobody's place and is dropped by the ordinary rules only") {
  // The key was changed before the last one.
  std::vector<Candidate> candidates;
  for (int i = 0; i < 6; ++i) candidates.push_back({std::to_string(i), epoch + std::chrono::hours{i}, i < 5 ? Standing::untrusted : Standing::verified});
  Policy policy;
  policy.days = 0;
  policy.count = 4;
  CHECK(kept(policy, candidates, epoch + std::chrono::days{99}) == std::vector<std::string>{"2", "3", "4", "5"});
  policy.count = 1;
  policy.keep_min = 3;
  CHECK(kept(policy, candidates, epoch + std::chrono::days{99}) == std::vector<std::string>{"3", "4", "5"});
  // A flood of forged ones pushes no verified one out.
  for (int i = 6; i < 60; ++i) candidates.push_back({std::to_string(i), epoch + std::chrono::hours{i}, Standing::untrusted});
  candidates[0].standing = Standing::verified;
  const auto left = kept(policy, candidates, epoch + std::chrono::days{99});
  CHECK(std::find(left.begin(), left.end(), "5") != left.end());
  CHECK(std::find(left.begin(), left.end(), "0") != left.end());
}

TEST_CASE("grandfather, father, son") {
  std::vector<Candidate> candidates;
  for (int day = 800; day >= 0; --day) candidates.push_back({"b" + std::to_string(day), epoch - std::chrono::days{day}});
  Policy policy;
  policy.days = 0;
  policy.daily = 3;
  policy.weekly = 2;
  policy.monthly = 2;
  policy.yearly = 2;
  // 2026-11-23 is a Monday: its week has one day; the week before ends on the 22nd, October and 2025 on their last days.
  CHECK(kept(policy, candidates, epoch) == std::vector<std::string>{"b327", "b23", "b2", "b1", "b0"});
}

TEST_CASE("retention agrees with the rules taken one by one on 20,000 histories, clock jumps included") {
  std::mt19937_64 random{7};
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>{low, high}(random);
  };
  std::size_t dropped = 0, proven = 0;
  for (int round = 0; round < 20'000; ++round) {
    Policy policy;
    if (pick(0, 1) == 1) policy.count = pick(0, 6);
    policy.days = pick(0, 3) == 0 ? 0 : pick(0, 20);
    policy.keep_min = pick(0, 3);
    for (auto* rule : {&policy.daily, &policy.weekly, &policy.monthly, &policy.yearly}) {
      if (pick(0, 2) == 0) *rule = pick(0, 4);
    }
    std::vector<Candidate> candidates;
    auto time = epoch;
    for (auto left = pick(0, 24); left > 0; --left) {
      const auto jump = pick(0, 19);
      if (jump == 0) time += std::chrono::days{365};
      if (jump == 1) time -= std::chrono::days{365};
      if (jump == 2) time -= std::chrono::hours{pick(0, 100)};
      time += std::chrono::minutes{pick(0, pick(0, 4) == 0 ? 60'000 : 2'000)};
      candidates.push_back({"b" + std::to_string(candidates.size()), time, std::array{Standing::verified, Standing::damaged, Standing::untrusted, Standing::safety}.at(static_cast<std::size_t>(std::max<std::int64_t>(0, pick(-6, 3)))), pick(0, 15) == 0});
    }
    const auto now = time + std::chrono::hours{pick(-50, 500)};
    proven += clock_is_proven(policy, candidates, now) && std::any_of(candidates.begin(), candidates.end(), [&](const Candidate& one) { return one.time > now; }) ? 1U : 0U;
    const auto verdicts = decide(policy, candidates, now);
    REQUIRE(verdicts.size() == candidates.size());
    std::int64_t verified = 0, verified_kept = 0;
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
      if (verdicts[i].keep != model_keeps(policy, candidates, i, now)) {
        CAPTURE(round);
        CAPTURE(i);
        FAIL("the model disagrees");
      }
      const bool counted = candidates[i].standing == Standing::verified;
      verified += counted ? 1 : 0;
      verified_kept += counted && verdicts[i].keep ? 1 : 0;
      // What nobody found damaged is never dropped as that.
      if (candidates[i].standing == Standing::untrusted && !verdicts[i].keep) REQUIRE(verdicts[i].reasons.front().find("damaged") == std::string::npos);
      dropped += verdicts[i].keep ? 0U : 1U;
    }
    REQUIRE(verified_kept >= std::min(policy.keep_min, verified));

  }
  CHECK(dropped > 20'000);
  CHECK(proven > 300);
}
