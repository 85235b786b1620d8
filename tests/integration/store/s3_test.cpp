// The conformance suite on real servers: versitygw and moto. tests/support/s3_servers.sh puts them where this looks.
#include "lib/store/s3.hpp"

#include <unistd.h>

#include <filesystem>

#include "lib/backup/backup.hpp"
#include "lib/base/retry.hpp"
#include "lib/io/files.hpp"
#include "lib/io/process.hpp"
#include "lib/store/lock_text.hpp"
#include "lib/store/s3_client.hpp"
#include "tests/support/scripted_server.hpp"
#include "tests/support/store_conformance.hpp"

using namespace codops;

namespace {

struct S3Server {
  io::TemporaryFolder folder;
  store::S3Settings settings;
  std::unique_ptr<io::Child> child;

  static std::unique_ptr<S3Server> start(const std::string& name, const SystemClock& clock, bool object_lock = false) {
    const char* cache = std::getenv("CODOPS_TEST_CACHE");
    const char* home = std::getenv("HOME");
    const auto base = cache != nullptr ? std::string{cache} : std::string{home != nullptr ? home : "/root"} + "/.cache/codops-tests";
    const auto program = std::filesystem::path{base} / "s3" / (name == "moto_server" ? "moto/bin/moto_server" : "bin/" + name);
    if (!std::filesystem::exists(program)) {
      MESSAGE("skipped: no ", name, " (tests/support/s3_servers.sh gets it)");
      if (std::getenv("CODOPS_REQUIRE_SERVICES") != nullptr) FAIL_CHECK(name, " is required");
      return nullptr;
    }
    auto server = std::make_unique<S3Server>();
    std::string port;
    {
      const tests::ScriptedServer free_port{[](tests::Peer&) {}};
      port = std::to_string(free_port.port());
    }
    io::Program start;
    start.argv = {program.string(), "-H", "127.0.0.1", "-p", port};
    if (name == "versitygw") {
      std::filesystem::create_directory(server->folder.path() / "data");
      start.argv = {program.string(), "--access", "key", "--secret", "secret", "--port", "127.0.0.1:" + port, "posix", (server->folder.path() / "data").string()};
    }
    start.env = io::usual_environment();
    server->child = std::make_unique<io::Child>(start, io::Child::Stdio{});
    auto& settings = server->settings;
    settings.address = {"backups", "some/prefix"};
    settings.endpoint = "http://127.0.0.1:" + port;
    settings.path_style = true;
    settings.credentials = {"key", Secret{"secret"}, {}};
    settings.part_size = 5U << 20U;
    settings.attempts = 3;
    // The server needs a moment, and the bucket has to be made.
    store::S3Client client{settings, clock};
    const auto limits = Limits{}.within(Milliseconds{60'000});
    Backoff backoff{Milliseconds{100}, Milliseconds{500}};
    for (;;) {
      try {
        std::map<std::string, std::string> headers;
        if (object_lock) headers["x-amz-bucket-object-lock-enabled"] = "true";
        if (client.send({"PUT", {}, {}, headers, {}}, limits).ok()) break;
      } catch (const Failure&) {
      }
      REQUIRE(backoff.wait(limits));
    }
    return server;
  }
};

// A lock that is renewed outlives the time after which it would be stale, and one that is not does not.
void locks(store::S3Settings settings, const SystemClock& clock) {
  const Limits limits;
  settings.lock_renewed_every = Milliseconds{300};
  settings.lock_stale_after = Milliseconds{3000};
  store::S3Store one{settings, clock}, other{settings, clock};
  store::S3Client client{settings, clock};
  const auto key = client.full_key("locks/.long.lock");
  {
    const auto held = one.try_lock("locks/long", limits);
    REQUIRE(held);
    for (int i = 0; i < 25; ++i) {
      limits.within(Milliseconds{200}).wait(-1, 0);
      store::LockHolder holder;
      REQUIRE_FALSE(other.try_lock("locks/long", limits, &holder));
      CHECK(holder.pid == ::getpid());
    }
    held->check();
  }
  CHECK_FALSE(client.send({"GET", key, {}, {}, {}}, limits).ok());
  // Of another machine, which died: named, and after a while no longer in the way.
  auto foreign = store::new_lock_text(clock.now());
  foreign.process.boot_id = "elsewhere";
  foreign.holder.host = "backup7";
  foreign.token = "theirs";
  const auto began = clock.steady();
  CHECK(client.send({"PUT", key, {}, {}, to_json(foreign)}, limits).ok());
  store::LockHolder holder;
  REQUIRE_FALSE(other.try_lock("locks/long", limits, &holder));
  CHECK(holder.host == "backup7");
  CHECK(holder.text().find("on backup7, since ") != std::string::npos);
  CHECK(holder.remedy().find("taken over after") != std::string::npos);
  std::unique_ptr<store::StoreLock> taken;
  Backoff backoff{Milliseconds{200}, Milliseconds{200}};
  const auto patience = Limits{}.within(Milliseconds{20'000});
  while (!(taken = other.try_lock("locks/long", limits))) REQUIRE(backoff.wait(patience));
  CHECK(clock.steady() - began > Milliseconds{2000});  // the server counts in whole seconds
  // Somebody takes over from this one: it learns of it.
  CHECK(client.send({"PUT", key, {}, {}, to_json(foreign)}, limits).ok());
  const auto told = [&] {
    try {
      taken->check();
      return false;
    } catch (const Failure& failure) {
      return failure.code() == Exit::locked;
    }
  };
  while (!told()) REQUIRE(backoff.wait(patience));
  taken.reset();
  CHECK(store::parse_lock_text(client.send({"GET", key, {}, {}, {}}, limits).body).token == "theirs");
  // A process of this machine that is no more: at once.
  auto dead = store::new_lock_text(clock.now());
  ++dead.process.start_time;
  CHECK(client.send({"PUT", key, {}, {}, to_json(dead)}, limits).ok());
  CHECK(other.try_lock("locks/long", limits));
}

void conforms(const std::string& name) {
  const SystemClock clock;
  const auto server = S3Server::start(name, clock);
  if (!server) return;
  {
    store::S3Store store{server->settings, clock};
    tests::check_store(store);
  }
  {
    // What a list has to escape.
    auto settings = server->settings;
    settings.address.prefix = "it's \"odd\" & <more> + a&amp;b; 100%/ümlaut";
    store::S3Store store{settings, clock};
    tests::check_store(store, 100'000);
  }
  {
    auto settings = server->settings;
    settings.address.bucket = "nowhere";
    store::S3Store store{settings, clock};
    try {
      store.try_lock("locks/one", Limits{});
      FAIL("locked in no bucket");
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::config);
      CHECK(failure.message().find("there is no bucket \"nowhere\"") != std::string::npos);
    }
  }
  locks(server->settings, clock);
  {
    // What a killed run left of a multipart upload.
    store::S3Client client{server->settings, clock};
    client.send({"POST", client.full_key("left/behind"), {{"uploads", ""}}, {}, {}}, Limits{});
    store::S3Store store{server->settings, clock};
    store.sweep("left", Limits{});
    const auto open = client.send({"GET", {}, {{"uploads", ""}, {"prefix", client.full_key("left") + "/"}}, {}, {}}, Limits{});
    CHECK(store::xml_texts(open.body, "Upload").empty());
  }
}

}  // namespace

TEST_CASE("S3: a bucket of versitygw is a store") { conforms("versitygw"); }
TEST_CASE("S3: a bucket of moto is a store") { conforms("moto_server"); }

namespace {

// What a store with object lock holds, and what it must not: everything that changes or goes away by itself.
void retains(const std::string& name) {
  const SystemClock clock;
  const auto server = S3Server::start(name, clock, true);
  if (!server) return;
  const Limits limits;
  auto settings = server->settings;
  settings.object_lock = std::chrono::hours{2};
  store::S3Store store{settings, clock};
  backup::Catalogue catalogue{store, "shop/test"};
  const std::string dump(6'000'000, 'x');  // in parts
  const auto publish = [&](const std::string& label) {
    const auto held = store.try_lock("shop/test/lock", limits);
    REQUIRE(held);
    backup::Manifest manifest;
    manifest.label = label;
    manifest.started = manifest.finished = clock.now();
    manifest.parts = {{"dump", "archive", "", "", dump.size(), dump.size(), "", ""}, {"small", "globals", "", "", 1, 1, "", ""}};
    catalogue.begin(label, clock.now(), limits);
    store.put(catalogue.object(label, "dump"), dump, limits, store::Retain::yes);
    store.put(catalogue.object(label, "small"), "x", limits, store::Retain::yes);
    catalogue.publish(manifest, io::new_signing_key(), limits);
  };
  publish("20261121-100000F");
  publish("20261122-100000F");
  catalogue.mark("20261121-100000F", [&](backup::Marks& marks) { marks.drilled = clock.now(); }, limits);
  CHECK(store.retained_until(catalogue.object("20261121-100000F", "manifest.json"), limits));
  CHECK_FALSE(store.retained_until(catalogue.object("20261121-100000F", "marks.json"), limits));
  for (const auto& object : store.list("", limits)) CHECK_FALSE(object.name.ends_with("in-progress.json"));
  backup::Policy policy;
  policy.days = 0;
  policy.count = 1;
  for (const bool dry_run : {true, false}) {
    const auto pruning = backup::prune(catalogue, policy, clock.now(), dry_run, limits);
    CHECK(pruning.removed.empty());
    REQUIRE(pruning.verdicts.size() == 2);
    CHECK(pruning.verdicts[0].reasons.front().starts_with("locked in the store until "));
  }
  try {
    catalogue.remove("20261121-100000F", limits);
    FAIL("removed");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::locked);
  }
  CHECK(catalogue.list(limits).size() == 2);
  // One that failed leaves parts that nobody may remove yet: they are in nobody's way.
  catalogue.begin("20261123-100000F", clock.now() - std::chrono::hours{100}, limits);
  store.put(catalogue.object("20261123-100000F", "dump"), dump, limits, store::Retain::yes);
  catalogue.remove_stale(clock.now(), limits);
  publish("20261124-100000F");
  CHECK(catalogue.list(limits).size() == 3);
}

}  // namespace

TEST_CASE("S3: object lock of versitygw holds backups, and nothing else") { retains("versitygw"); }
TEST_CASE("S3: object lock of moto holds backups, and nothing else") { retains("moto_server"); }

TEST_CASE("S3: versitygw refuses a wrong key, and that is said") {
  const SystemClock clock;
  const auto server = S3Server::start("versitygw", clock);
  if (!server) return;
  auto settings = server->settings;
  settings.credentials.secret_key = Secret{"wrong"};
  store::S3Store store{settings, clock};
  try {
    store.put("a/b", "x", Limits{});
    FAIL("it was taken");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::config);
    CHECK(failure.message().find("403") != std::string::npos);
  }
}
