#include "lib/backup/backup.hpp"
#include "lib/backup/half_restored.hpp"
#include "lib/backup/reading.hpp"
#include "lib/backup/verify.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <thread>

#include "lib/store/lock_text.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/store/directory.hpp"

using namespace codops;
using namespace codops::backup;

namespace {

constexpr WallTime now = WallTime{std::chrono::sys_days{std::chrono::year{2026} / 11 / 23} + std::chrono::hours{10}};
const Limits limits;

Manifest manifest(const std::string& label, const std::string& tag = {}) {
  Manifest it;
  it.label = label;
  it.environment = "production";
  it.tag = tag;
  it.sequence = 7;
  it.started = now;
  it.finished = now + std::chrono::seconds{9};
  it.codops_version = "0.1.0";
  it.encrypted = true;
  it.recipients = {"age1x"};
  it.database = DatabaseIdentity{"shop", "owner", "15.18", 150018, "7", "UTF8", "C", "C", "15.18", 99, {"plpgsql 1.0"}, {"owner"}};
  it.parts = {{"database.dump.zst", "archive", "", "", 10, 20, "ab", "cd"},
              {"rows-0001.zst", "rows", "public.t", "\"public\".\"t\" (\"a\")", 1, 2, "ef", ""}};
  it.tables = {{"public.t", 3, "00ff"}};
  return it;
}

struct Place {
  io::TemporaryFolder folder;
  store::DirectoryStore store{folder.path()};
  Catalogue catalogue{store, "shop/production"};
  void add(const std::string& label, const std::string& tag = {}, const std::optional<io::SigningKey>& key = {}) {
    catalogue.begin(label, now, limits);
    for (const auto& part : manifest(label).parts) store.put(catalogue.object(label, part.name), std::string(part.size, 'x'), limits);
    catalogue.publish(manifest(label, tag), key, limits);
  }
  std::vector<std::string> labels() {
    std::vector<std::string> all;
    for (const auto& entry : catalogue.list(limits)) all.push_back(entry.manifest.label);
    return all;
  }
};

}  // namespace

TEST_CASE("a manifest comes back from its JSON; a later version and nonsense do not") {
  const auto it = manifest("20261123-100000F", "before v2");
  CHECK(parse_manifest(to_json(it)) == it);
  CHECK(it.size() == 11);
  CHECK(it.rows() == 3);
  for (const char* bad : {"", "{}", "[]", "{\"codops_backup\":2}", "{\"codops_backup\":1,\"label\":7}"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse_manifest(bad), Failure);
  }
}

TEST_CASE("labels follow the clock, and each other when the clock is behind") {
  CHECK(next_label(now, {}) == "20261123-100000F");
  CHECK(next_label(now, "20261123-095959F") == "20261123-100000F");
  CHECK(next_label(now, "20261123-100000F") == "20261123-100001F");
  CHECK(next_label(now, "20271231-235959F") == "20280101-000000F");
}

TEST_CASE("a stamp is a date that there is, and no more than ten years ahead") {
  for (const char* good : {"20261123-100000F", "19700101-000000F", "20240229-235959F", "20361123-100000F"}) CHECK(is_label(good, now));
  for (const char* bad : {"99999999-999999F", "99991231-235959F", "20361124-110000F", "20260229-100000F", "20261301-000000F", "20261123-240000F",
                          "20261123-100000", "20261123-100000G", "2026112--100000F", "00000000-000000F"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_label(bad, now));
  }
  // A clock that starts at 1970 still lists what there is.
  CHECK(is_label("20261123-100000F", WallTime{}));
  CHECK_THROWS_AS(next_label(now, "99991231-235959F"), Failure);
}

TEST_CASE("an entry with an impossible stamp is told, counted by nobody, and takes no later backup's place") {
  Place place;
  place.add("20261121-100000F");
  for (const char* odd : {"99999999-999999F", "99991231-235959F"}) place.store.put(place.catalogue.object(odd, "manifest.json"), to_json(manifest(odd)), limits);
  place.store.put(place.catalogue.object("99991231-235959F", "marks.json"), R"({"pinned":true})", limits);
  CHECK(place.catalogue.newest_label(limits) == "20261121-100000F");
  std::vector<Broken> broken;
  CHECK(place.catalogue.list(limits, &broken).size() == 1);
  REQUIRE(broken.size() == 2);
  CHECK(broken[0].why.find("no date") != std::string::npos);
  CHECK(broken[0].pinned);
  const auto latest = place.catalogue.find("latest", limits);
  CHECK(latest.manifest.label == "20261121-100000F");
  CHECK(latest.passed_over.empty());
  CHECK_THROWS_AS(place.catalogue.find("99999999-999999F", limits), Failure);
  CHECK(prune(place.catalogue, {}, now, true, limits).unreadable.size() == 2);
}

TEST_CASE("no backup is published in another's place") {
  Place place;
  place.add("20261121-100000F", "first");
  CHECK_THROWS_AS(place.catalogue.begin("20261121-100000F", now, limits), Failure);
  CHECK_THROWS_AS(place.catalogue.publish(manifest("20261121-100000F", "second"), {}, limits), Failure);
  CHECK(place.catalogue.find("latest", limits).manifest.tag == "first");
  // Not even where two run at once and only the last moment tells.
  CHECK_FALSE(place.store.put_new(place.catalogue.object("20261121-100000F", "manifest.json"), "{}", limits));
}

TEST_CASE("only what is published is listed, and it is found by label, tag and as the latest") {
  Place place;
  CHECK_THROWS_AS(place.catalogue.find("latest", limits), Failure);
  place.add("20261121-100000F", "before v2");
  place.add("20261122-100000F");
  place.catalogue.begin("20261123-100000F", now, limits);
  place.store.put(place.catalogue.object("20261123-100000F", "database.dump.zst"), "half", limits);
  CHECK(place.labels() == std::vector<std::string>{"20261121-100000F", "20261122-100000F"});
  CHECK(place.catalogue.newest_label(limits) == "20261123-100000F");
  CHECK(place.catalogue.find("latest", limits).manifest.label == "20261122-100000F");
  CHECK(place.catalogue.find("before v2", limits).manifest.label == "20261121-100000F");
  try {
    place.catalogue.find("20261121-100001F", limits);
    FAIL("found");
  } catch (const Failure& failure) {
    CHECK(failure.hint().find("20261121-100000F") != std::string::npos);
  }
  place.catalogue.mark("20261122-100000F", [](Marks& marks) { marks.damage = "a part is missing"; }, limits);
  CHECK(place.catalogue.find("latest", limits).manifest.label == "20261121-100000F");
}

TEST_CASE("a backup whose part is gone or has another size is damaged, and the latest is the one before") {
  Place place;
  place.add("20261121-100000F");
  place.add("20261122-100000F");
  CHECK(place.catalogue.find("latest", limits).manifest.label == "20261122-100000F");
  const auto dump = place.catalogue.object("20261122-100000F", "database.dump.zst");
  place.store.put(dump, "", limits);
  auto entries = place.catalogue.list(limits);
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].sound());
  CHECK_FALSE(entries[1].sound());
  CHECK(entries[1].marks.damage == "database.dump.zst has 0 bytes, not 10");
  CHECK(place.catalogue.find("latest", limits).manifest.label == "20261121-100000F");
  place.store.put(dump, "0123456789", limits);
  CHECK(place.catalogue.list(limits)[1].sound());
  place.store.remove(dump, limits);
  CHECK(place.catalogue.list(limits)[1].marks.damage == "database.dump.zst is gone");
  // By its label it is still found: somebody may want to know what is wrong with it.
  CHECK(place.catalogue.find("20261122-100000F", limits).marks.damage == "database.dump.zst is gone");
  // It is seen, not remembered.
  place.catalogue.mark("20261122-100000F", [](Marks& marks) { CHECK(marks.damage.empty()); }, limits);
}

TEST_CASE("what a dead process left goes, what a living one is at stays") {
  Place place;
  place.catalogue.begin("20261123-100000F", now, limits);
  auto left = place.catalogue.unfinished(now, limits);
  REQUIRE(left.size() == 1);
  CHECK_FALSE(left[0].stale);
  place.catalogue.remove_stale(now, limits);
  CHECK(place.catalogue.unfinished(now, limits).size() == 1);
  // Older than any backup takes; and without a marker.
  CHECK(place.catalogue.unfinished(now + std::chrono::hours{49}, limits)[0].stale);
  place.store.put(place.catalogue.object("20261123-100001F", "database.dump.zst"), "half", limits);
  place.catalogue.remove_stale(now, limits);
  CHECK(place.catalogue.unfinished(now, limits).size() == 1);
  place.catalogue.remove("20261123-100000F", limits);
  CHECK(place.store.list("", limits).empty());

  auto self = store::this_process();
  CHECK_FALSE(store::is_gone(self));
  ++self.start_time;  // the pid is used by another
  CHECK(store::is_gone(self));
  self.boot_id = "elsewhere";
  CHECK_FALSE(store::is_gone(self));
}

TEST_CASE("a manifest that somebody changed, or signed with another key, is not trusted") {
  const auto key = io::new_signing_key();
  Place place;
  place.add("20261121-100000F", "", key);
  place.add("20261122-100000F", "", io::new_signing_key());
  place.add("20261123-100000F");
  Catalogue strict{place.store, "shop/production", key.public_key};
  auto entries = strict.list(limits);
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].trust == Trust::valid);
  CHECK(entries[1].trust == Trust::invalid);
  CHECK(entries[2].trust == Trust::invalid);
  CHECK(strict.find("latest", limits).manifest.label == "20261121-100000F");
  CHECK_THROWS_AS(strict.find("20261123-100000F", limits), Failure);
  entries = place.catalogue.list(limits);
  CHECK(entries[1].trust == Trust::valid);
  CHECK(entries[2].trust == Trust::unsigned_);
  auto changed = manifest("20261121-100000F");
  changed.tables[0].rows = 4;
  place.store.put(place.catalogue.object("20261121-100000F", "manifest.json"), to_json(changed), limits);
  CHECK(strict.list(limits)[0].trust == Trust::invalid);
  CHECK(place.catalogue.list(limits)[0].trust == Trust::invalid);
}

TEST_CASE("marks that can't be read may have been a pin: the backup stays, and says why, until they are written anew") {
  Place place;
  for (const auto* label : {"20261121-100000F", "20261122-100000F", "20261123-100000F"}) place.add(label);
  Policy policy;
  policy.days = 0;
  policy.count = 1;
  for (const auto* damaged : {"", "{\"pinned\": tr", "[]", "{\"pinned\": 7}"}) {
    CAPTURE(damaged);
    place.store.put(place.catalogue.object("20261121-100000F", "marks.json"), damaged, limits);
    const auto pruning = prune(place.catalogue, policy, now, true, limits);
    CHECK(pruning.removed == std::vector<std::string>{"20261122-100000F"});
    CHECK(pruning.verdicts[0].reasons.front().find("can't be read") != std::string::npos);
    // What a verification notes loses it not.
    place.catalogue.mark("20261121-100000F", [](Marks& marks) { marks.verified = now; }, limits);
    CHECK(prune(place.catalogue, policy, now, true, limits).verdicts[0].reasons == std::vector<std::string>{"pinned"});
  }
  place.catalogue.mark("20261121-100000F", [](Marks& marks) { marks.pinned = false; }, limits);
  CHECK(prune(place.catalogue, policy, now, true, limits).removed.size() == 2);
}

TEST_CASE("marks are kept, and a broken manifest is named without hiding the others") {
  Place place;
  place.add("20261121-100000F");
  place.add("20261122-100000F");
  place.catalogue.mark("20261121-100000F", [](Marks& marks) { marks.pinned = true; }, limits);
  place.catalogue.mark("20261121-100000F", [](Marks& marks) { marks.drilled = now; marks.drill_took = Milliseconds{42}; }, limits);
  const auto entry = place.catalogue.find("20261121-100000F", limits);
  CHECK(entry.marks.pinned);
  CHECK(entry.marks.drilled == now);
  CHECK(entry.marks.drill_took == Milliseconds{42});
  place.store.put(place.catalogue.object("20261122-100000F", "manifest.json"), "{", limits);
  CHECK_THROWS_AS(place.catalogue.list(limits), Failure);
  std::vector<Broken> broken;
  CHECK(place.catalogue.list(limits, &broken).size() == 1);
  REQUIRE(broken.size() == 1);
  CHECK(broken[0].label == "20261122-100000F");
  CHECK(broken[0].why == "the manifest is no JSON document");
  CHECK_FALSE(broken[0].pinned);
}

TEST_CASE("who pins and who verifies at one time leave both marks") {
  Place place;
  place.add("20261121-100000F");
  for (int round = 0; round < 20; ++round) {
    place.catalogue.mark("20261121-100000F", [](Marks& marks) { marks = {}; }, limits);
    std::thread pin;
    place.catalogue.mark("20261121-100000F",
                         [&](Marks& marks) {
                           // Begun between the read and the write of the other.
                           pin = std::thread{[&] { Catalogue{place.store, "shop/production"}.mark("20261121-100000F", [](Marks& other) { other.pinned = true; }, limits); }};
                           std::this_thread::sleep_for(Milliseconds{5});
                           marks.verified = now;
                         },
                         limits);
    pin.join();
    const auto entry = place.catalogue.find("20261121-100000F", limits);
    CHECK(entry.marks.pinned);
    CHECK(entry.marks.verified == now);
  }
}

TEST_CASE("a damaged backup can be removed, whatever its manifest has become") {
  Place place;
  place.add("20261121-100000F");
  place.add("20261122-100000F");
  std::filesystem::resize_file(place.folder.path() / place.catalogue.object("20261121-100000F", "manifest.json"), std::uintmax_t{20} << 30U);
  std::vector<Broken> broken;
  CHECK(place.catalogue.list(limits, &broken).size() == 1);
  REQUIRE(broken.size() == 1);
  CHECK(broken[0].label == "20261121-100000F");
  place.catalogue.remove("20261121-100000F", limits);
  CHECK_FALSE(std::filesystem::exists(place.folder.path() / "shop/production/20261121-100000F"));
  CHECK(place.labels() == std::vector<std::string>{"20261122-100000F"});
}

TEST_CASE("what goes while it is looked at was not there") {
  // Found, and removed before it is opened: a reader's mark whose reader ended just then.
  class Vanishing final : public store::DirectoryStore {
   public:
    using DirectoryStore::DirectoryStore;
    std::unique_ptr<io::Reader> open(const std::string& name, const Limits& within) override {
      if (times_-- > 0) remove(name, within);
      return DirectoryStore::open(name, within);
    }
    int times_{1};
  };
  const io::TemporaryFolder folder;
  Vanishing store{folder.path()};
  store.put("a/reading-1.json", "{}", limits);
  CHECK_FALSE(store.get("a/reading-1.json", limits).has_value());
  store.put("a/b.json", "{}", limits);
  CHECK(store.get("a/b.json", limits) == "{}");
  CHECK_THROWS_AS(store.get("a/b.json", limits, 1), Failure);
}

TEST_CASE("a manifest that can't be read is told as that by its label, passed over by latest with a word, and counted by no rule") {
  Place place;
  place.add("20261121-100000F", "good");
  place.add("20261122-100000F");
  place.catalogue.mark("20261122-100000F", [](Marks& marks) { marks.pinned = true; }, limits);
  const auto name = place.catalogue.object("20261122-100000F", "manifest.json");
  const auto whole = *place.store.get(name, limits);
  auto newer = whole, other = whole;
  newer.replace(newer.find("\"codops_backup\": 1"), 18, "\"codops_backup\": 2");
  other.replace(other.find("20261122"), 8, "20261121");
  for (const auto& bad : {std::string{"\xff\xfe junk \x1b[31m"}, std::string{}, std::string{"[]"}, newer, other}) {
    CAPTURE(bad);
    place.store.put(name, bad, limits);
    std::vector<Broken> broken;
    CHECK(place.catalogue.list(limits, &broken).size() == 1);
    REQUIRE(broken.size() == 1);
    CHECK(broken[0].pinned);
    // Whatever it holds, what is said of it can be printed and put into JSON.
    CHECK(std::all_of(broken[0].why.begin(), broken[0].why.end(), [](char c) { return c >= ' ' && c <= '~'; }));
    const auto latest = place.catalogue.find("latest", limits);
    CHECK(latest.manifest.label == "20261121-100000F");
    REQUIRE(latest.passed_over.size() == 1);
    CHECK(latest.passed_over[0] == "backup 20261122-100000F is newer, and passed over: " + broken[0].why);
    CHECK(place.catalogue.find("good", limits).passed_over.empty());
    try {
      place.catalogue.find("20261122-100000F", limits);
      FAIL("found");
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::data);
      CHECK(failure.message() == broken[0].text());
    }
    // The one that keep_min and count keep is the one that can be restored.
    Policy policy;
    policy.days = 0;
    policy.count = 1;
    const auto pruning = prune(place.catalogue, policy, now, true, limits);
    CHECK(pruning.removed.empty());
    REQUIRE(pruning.verdicts.size() == 1);
    CHECK(pruning.verdicts[0].keep);
    CHECK(pruning.unreadable.size() == 1);
  }
  place.store.put(name, whole, limits);
  CHECK(place.catalogue.find("latest", limits).manifest.label == "20261122-100000F");
  // Nothing but such ones: there are backups, and none is sound.
  place.store.put(name, "x", limits);
  place.store.put(place.catalogue.object("20261121-100000F", "manifest.json"), "x", limits);
  try {
    place.catalogue.find("latest", limits);
    FAIL("found");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::data);
    CHECK(failure.message().starts_with("none of the 2 backups"));
  }
}

TEST_CASE("latest says which newer ones are damaged or not signed by the trusted key") {
  const auto key = io::new_signing_key();
  Place place;
  place.add("20261121-100000F", "", key);
  place.add("20261122-100000F");
  place.add("20261123-100000F", "", key);
  place.catalogue.mark("20261123-100000F", [](Marks& marks) { marks.damage = "a part is missing"; }, limits);
  Catalogue strict{place.store, "shop/production", key.public_key};
  CHECK(strict.find("latest", limits).passed_over ==
        std::vector<std::string>{"backup 20261122-100000F is newer, and passed over: it is not signed by the trusted key",
                                 "backup 20261123-100000F is newer, and passed over: it is damaged: a part is missing"});
  // Neither counts for keep_min: the one that is left is kept by it.
  Policy policy;
  policy.days = 0;
  policy.count = 1;
  const auto pruning = prune(strict, policy, now, true, limits);
  REQUIRE(pruning.verdicts.size() == 3);
  CHECK(pruning.verdicts[0].keep);
  CHECK(pruning.verdicts[0].reasons[0] == "keep_min: 1 of 1");
}

TEST_CASE("another key drops nothing and marks nothing: the reader is another, the backups are the same") {
  const auto old_key = io::new_signing_key(), key = io::new_signing_key();
  Place place;
  place.add("20261118-100000F");
  place.add("20261119-100000F", "", old_key);
  place.add("20261120-100000F", "", old_key);
  place.add("20261121-100000F", "", key);
  Catalogue now_trusted{place.store, "shop/production", key.public_key};
  Policy policy;
  policy.days = 0;
  policy.count = 3;
  auto pruning = prune(now_trusted, policy, now, false, limits);
  CHECK(pruning.removed == std::vector<std::string>{"20261118-100000F"});
  for (const auto& verdict : pruning.verdicts) CHECK(verdict.reasons[0].find("damaged") == std::string::npos);
  // Verified by somebody with yet another key.
  Catalogue stranger{place.store, "shop/production", io::new_signing_key().public_key};
  SilentReporter reporter;
  const SystemClock clock;
  for (const auto& entry : stranger.list(limits)) {
    CHECK(entry.standing() == Standing::untrusted);
    Progress progress{reporter, clock, "verify", 0};
    const auto found = verify(stranger, entry, {}, now, progress, limits);
    CHECK(found.untrusted);
    CHECK_FALSE(found.whole);
  }
  for (const auto& object : place.store.list("", limits)) CHECK_FALSE(object.name.ends_with("marks.json"));
  CHECK(prune(now_trusted, policy, now, false, limits).removed.empty());
  // What an earlier codops had written there says nothing either; what was found damaged does.
  place.catalogue.mark("20261119-100000F", [](Marks& marks) { marks.damage = "the manifest is not signed by the trusted key"; }, limits);
  place.catalogue.mark("20261120-100000F", [](Marks& marks) { marks.damage = "a part is gone"; }, limits);
  CHECK(prune(now_trusted, policy, now, false, limits).removed == std::vector<std::string>{"20261120-100000F"});
}

TEST_CASE("a label is no word and no stamp that names a backup by itself, and nothing that reads as a file or an option") {
  for (const char* bad : {"latest", "all", "20261121-100000F", "20261121-100000", "a/b", "/", "--undo", "a\nb", "\x7f"}) {
    CAPTURE(bad);
    try {
      check_tag(bad);
      FAIL("taken");
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::usage);
    }
  }
  for (const char* good : {"before v2", "v1.0.0", "Latest greatest", "20261121", "käse", ""}) check_tag(good);
}

TEST_CASE("who died after the manifest left a whole backup, and a marker that goes") {
  Place place;
  place.add("20261122-100000F");
  const auto marker = place.catalogue.object("20261122-100000F", "in-progress.json");
  place.store.put(marker, R"({"host":"h","pid":1,"started":"2020-01-01T00:00:00Z"})", limits);
  CHECK(place.catalogue.unfinished(now, limits).empty());
  place.catalogue.remove_stale(now, limits);
  CHECK_FALSE(place.store.find(marker, limits));
  CHECK(place.catalogue.list(limits).size() == 1);
}

TEST_CASE("what anybody may write beside a manifest never stops a list") {
  const io::TemporaryFolder folder;
  store::DirectoryStore store{folder.path()};
  Catalogue catalogue{store, "shop/test"};
  Manifest manifest;
  manifest.label = "20261123-101500F";
  manifest.folder = "shop/test";
  manifest.started = manifest.finished = WallTime{std::chrono::sys_days{std::chrono::year{2026} / 11 / 23}};
  catalogue.publish(manifest, {}, Limits{});
  for (const auto* marks : {"{\"pinned\":\"x\",\"verified\":5,\"damage\":7}", "[]", "junk", ""}) {
    store.put("shop/test/20261123-101500F/marks.json", marks, Limits{});
    CHECK(catalogue.list(Limits{}).size() == 1);
  }
  store.put("shop/test/20261124-101500F/in-progress.json", "{\"host\":1,\"pid\":\"x\"}", Limits{});
  CHECK(catalogue.unfinished(manifest.started, Limits{}).at(0).stale);
  // Signed or not, one environment's backup is no other's.
  Catalogue other{store, "shop/other"};
  store.put("shop/other/20261123-101500F/manifest.json", *store.get("shop/test/20261123-101500F/manifest.json", Limits{}), Limits{});
  std::vector<Broken> broken;
  CHECK(other.list(Limits{}, &broken).empty());
  CHECK(broken.size() == 1);
}

TEST_CASE("what is being read is neither pruned nor removed, until its reader is done or dead") {
  Place place;
  place.add("20261121-100000F");
  place.add("20261122-100000F");
  const auto present = SystemClock{}.now();
  Policy policy;
  policy.days = 0;
  policy.count = 1;
  {
    const Reading reading{place.catalogue, "20261121-100000F", limits};
    for (const bool dry_run : {true, false}) {
      const auto pruning = prune(place.catalogue, policy, present, dry_run, limits);
      CHECK(pruning.removed.empty());
      CHECK(pruning.verdicts.at(0).reasons.at(0).starts_with("being read by pid "));
    }
    try {
      place.catalogue.remove("20261121-100000F", limits);
      FAIL("removed");
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::locked);
    }
    place.catalogue.remove_stale(present, limits);
    CHECK(place.labels().size() == 2);
  }
  CHECK(place.store.list("shop/production/20261121-100000F", limits).size() == 3);
  // One that died, one of another machine that began three days ago, and nonsense.
  auto dead = store::new_lock_text(present);
  ++dead.process.start_time;
  auto old = store::new_lock_text(present - std::chrono::hours{72});
  old.process.boot_id = "elsewhere";
  place.store.put(place.catalogue.object("20261121-100000F", "reading-1.json"), to_json(dead), limits);
  place.store.put(place.catalogue.object("20261121-100000F", "reading-2.json"), to_json(old), limits);
  place.store.put(place.catalogue.object("20261121-100000F", "reading-3.json"), "x", limits);
  place.catalogue.remove_stale(present, limits);
  CHECK(place.store.list("shop/production/20261121-100000F", limits).size() == 3);
  CHECK(prune(place.catalogue, policy, present, false, limits).removed == std::vector<std::string>{"20261121-100000F"});
  CHECK(place.store.list("shop/production/20261121-100000F", limits).empty());
  // It went before its reader had begun.
  CHECK_THROWS_AS((Reading{place.catalogue, "20261121-100000F", limits}), Failure);
  CHECK(place.store.list("shop/production/20261121-100000F", limits).empty());
  CHECK(place.labels() == std::vector<std::string>{"20261122-100000F"});
}

TEST_CASE("the note of a half restored database keeps its own comment, and only a note is one") {
  for (const char* comment : {"", "the shop's", "codops half restored: {\"source\":\"x\"}"}) {
    const auto half = parse_half_restored(to_comment({"20261121-100000F", comment}));
    REQUIRE(half);
    CHECK(half->source == "20261121-100000F");
    CHECK(half->comment == comment);
    CHECK(half->remedy("production").find("codops restore production --undo") != std::string::npos);
  }
  for (const char* other : {"", "the shop's", "codops half restored: ", "codops half restored: []", "codops half restored: {\"source\":7}"}) CHECK_FALSE(parse_half_restored(other));
}
