#include "lib/backup/verify.hpp"
#include "lib/store/s3_upload.hpp"
#include "tests/support/backup_fixture.hpp"
#include "tests/support/faulty_s3.hpp"
#include "tests/support/store_conformance.hpp"

using namespace codops;
using namespace codops::tests;
using Fault = FaultyS3::Fault;

namespace {

const Limits& patience() {
  static const Limits limits;
  return limits;
}

void upload(store::Store& store, const std::string& name, const std::string& bytes) {
  const auto to = store.create(name, patience());
  to->write(bytes);
  to->finish();
  to->commit();
}

Exit code_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Failure& failure) {
    return failure.code();
  }
  return Exit::ok;
}

}  // namespace

TEST_CASE("S3: the scripted server is a store too, lists in pages included") {
  FaultyS3 server;
  SystemClock clock;
  store::S3Store store{server.settings(1), clock};
  check_store(store, 5'000'000);
}

TEST_CASE("S3: any single call may fail once, by 500, 503, a reset or a digest that does not fit, and nothing is lost") {
  FaultyS3 server;
  SystemClock clock;
  const auto bytes = io::random_bytes(2'500'000);
  store::S3Store store{server.settings(3), clock};
  upload(store, "a/large", bytes);
  CHECK(io::read_all(*store.open("a/large", patience()), bytes.size()) == bytes);
  const auto calls = server.calls().size();
  CHECK(calls > 8);
  const std::array faults{Fault::internal, Fault::slow_down, Fault::reset, Fault::bad_digest};
  for (std::size_t k = 1; k <= calls; ++k) {
    CAPTURE(k);
    server.fault([&](const FaultyS3::Call& call) {
      if (call.number != k) return Fault::none;
      const auto fault = faults.at(k % faults.size());
      return fault == Fault::bad_digest && call.method != "PUT" ? Fault::internal : fault;  // of what is sent
    });
    upload(store, "a/large", bytes);
    CHECK(io::read_all(*store.open("a/large", patience()), bytes.size()) == bytes);
    CHECK(server.open_uploads() == 0);
  }
}

TEST_CASE("S3: what can't be mended leaves nothing visible and no upload open") {
  FaultyS3 server;
  SystemClock clock;
  store::S3Store store{server.settings(2), clock};
  const auto bytes = io::random_bytes(2'500'000);
  const auto fails = [&](const std::function<Fault(const FaultyS3::Call&)>& fault) {
    server.fault(fault);
    const auto code = code_of([&] { upload(store, "a/large", bytes); });
    server.fault({});
    CHECK(server.names().empty());
    CHECK(server.open_uploads() == 0);
    return code;
  };
  using Call = FaultyS3::Call;
  const auto is_part = [](const Call& call, const char* number) { return call.method == "PUT" && call.query.find(std::string{"partNumber="} + number) != std::string::npos; };
  CHECK(fails([&](const Call& call) { return is_part(call, "2") ? Fault::denied : Fault::none; }) == Exit::config);
  CHECK(fails([&](const Call& call) { return is_part(call, "2") ? Fault::expired : Fault::none; }) == Exit::config);
  CHECK(fails([&](const Call& call) { return is_part(call, "2") ? Fault::bad_request : Fault::none; }) == Exit::failed);
  CHECK(fails([&](const Call& call) { return is_part(call, "3") ? Fault::internal : Fault::none; }) == Exit::unavailable);
  CHECK(fails([&](const Call& call) { return call.method == "POST" && call.query.starts_with("uploadId") ? Fault::error_in_200 : Fault::none; }) == Exit::unavailable);
  CHECK(fails([&](const Call& call) { return call.method == "POST" && call.query.starts_with("uploads") ? Fault::denied : Fault::none; }) == Exit::config);
}

TEST_CASE("S3: a read that is cut short is asked for again, then refused") {
  FaultyS3 server;
  SystemClock clock;
  store::S3Store store{server.settings(3), clock};
  const auto bytes = io::random_bytes(2'500'000);
  upload(store, "a/large", bytes);
  std::size_t cuts = 0;
  server.fault([&](const FaultyS3::Call& call) { return call.method == "GET" && cuts++ == 1 ? Fault::cut_short : Fault::none; });
  CHECK(io::read_all(*store.open("a/large", patience()), bytes.size()) == bytes);
  server.fault([&](const FaultyS3::Call& call) { return call.method == "GET" ? Fault::cut_short : Fault::none; });
  CHECK(code_of([&] { io::read_all(*store.open("a/large", patience()), bytes.size()); }) != Exit::ok);
}

TEST_CASE("S3: headers of object lock, the pace of uploads, and both styles of address") {
  FaultyS3 server;
  SystemClock clock;
  auto settings = server.settings(1);
  settings.object_lock = std::chrono::hours{24};
  settings.bandwidth = 4'000'000;
  store::S3Store store{settings, clock};
  const auto began = clock.steady();
  upload(store, "a/large", io::random_bytes(2'000'000));
  CHECK(clock.steady() - began >= Milliseconds{450});
  CHECK(server.headers_of("POST").at("host").starts_with("127.0.0.1"));
  upload(store, "a/small", "x");
  CHECK_FALSE(server.headers_of("PUT").contains("x-amz-object-lock-mode"));  // what changes later is not held
  store.put("a/small", "x", patience(), store::Retain::yes);
  CHECK(server.headers_of("PUT").at("content-md5") == "ndTkYSaMgDT1yFZOFVxnpg==");  // of "x"; required with a retention
  CHECK(server.headers_of("PUT").at("x-amz-object-lock-mode") == "GOVERNANCE");
  CHECK(server.headers_of("PUT").at("x-amz-object-lock-retain-until-date").ends_with("Z"));
  CHECK(server.headers_of("PUT").contains("x-amz-content-sha256"));
  settings = server.settings(1);
  settings.path_style = false;  // curl takes every name below localhost for loopback
  settings.endpoint.replace(settings.endpoint.find("127.0.0.1"), 9, "localhost");
  store::S3Store by_host{settings, clock};
  CHECK(by_host.get("a/small", patience()) == "x");
  CHECK(server.headers_of("GET").at("host").starts_with("backups.localhost"));
}

TEST_CASE("S3: a stalled server is given up at the deadline") {
  FaultyS3 server;
  SystemClock clock;
  store::S3Store store{server.settings(1), clock};
  server.fault([](const FaultyS3::Call&) { return Fault::stall; });
  CHECK(code_of([&] { store.find("a/b", Limits{}.within(Milliseconds{300})); }) == Exit::deadline);
}

TEST_CASE("S3: an error in the body of 200 is asked again; so is a completion whose answer was lost") {
  FaultyS3 server;
  SystemClock clock;
  store::S3Store store{server.settings(3), clock};
  const auto bytes = io::random_bytes(2'500'000);
  for (const auto fault : {Fault::error_in_200, Fault::lost}) {
    int times = 0;
    server.fault([&](const FaultyS3::Call& call) { return call.method == "POST" && call.query.starts_with("uploadId") && times++ == 0 ? fault : Fault::none; });
    upload(store, "a/large", bytes);
    CHECK(times > 1);
    CHECK(store.get("a/large", patience()) == bytes);
    store.remove("a/large", patience());
  }
  CHECK(server.open_uploads() == 0);
}

TEST_CASE("S3: a lost answer to the lock's own making does not keep its maker out") {
  FaultyS3 server;
  SystemClock clock;
  store::S3Store store{server.settings(3), clock};
  int times = 0;
  server.fault([&](const FaultyS3::Call& call) { return call.method == "PUT" && call.path.ends_with(".lock") && times++ == 0 ? Fault::lost : Fault::none; });
  {
    const auto held = store.try_lock("a/lock", patience());
    REQUIRE(held);
    CHECK(times == 2);
    CHECK_FALSE(store.try_lock("a/lock", patience()));
  }
  CHECK(server.names().empty());
}

TEST_CASE("S3: what is no whole list is no empty store") {
  FaultyS3 server;
  SystemClock clock;
  store::S3Store store{server.settings(2), clock};
  upload(store, "a/b", "x");
  const auto list = "<ListBucketResult><IsTruncated>false</IsTruncated>" + std::string{"<Contents><Key>a/b</Key><Size>1</Size></Contents></ListBucketResult>"};
  std::string body;
  server.script([&](const FaultyS3::Call& call) { return call.method == "GET" && call.query.find("list-type") != std::string::npos ? FaultyS3::answer(200, body) : ""; });
  for (const auto& bad : {std::string{"<!DOCTYPE html><html><title>Console</title></html>"}, std::string{}, list.substr(0, list.size() - 8), list.substr(0, 30),
                          std::string{"<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>"}, std::string{"<Error><Code>AccessDenied</Code></Error>"},
                          std::string{"{\"ok\":true}"}}) {
    CAPTURE(bad);
    body = bad;
    CHECK_THROWS_AS(store.list("a", patience()), Failure);
  }
  body = list;
  CHECK(names_in(store, "a") == std::vector<std::string>{"a/b"});
  // It goes on for ever, and always in the same way.
  body = "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>a/b</Key><Size>1</Size></Contents></ListBucketResult>";
  CHECK(code_of([&] { store.list("a", patience()); }) == Exit::unavailable);
  body = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
  CHECK(code_of([&] { store.list("a", patience()); }) == Exit::unavailable);
  server.script({});
  // Truncated without a token: by the last name.
  server.list_without_tokens();
  std::vector<std::string> names{"a/b"};
  for (int i = 0; i < 10; ++i) {
    names.push_back("a/c" + std::to_string(i));
    upload(store, names.back(), "x");
  }
  CHECK(names_in(store, "a") == names);
}

TEST_CASE("S3: a clock that is wrong is called that") {
  FaultyS3 server;
  SystemClock clock;
  store::S3Store store{server.settings(1), clock};
  server.script([](const FaultyS3::Call&) {
    return FaultyS3::answer(403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  });
  for (const auto& ask : std::initializer_list<std::function<void()>>{[&] { store.list("a", patience()); }, [&] { store.find("a/b", patience()); }}) {
    try {
      ask();
      FAIL("it was taken");
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::config);
      CHECK(failure.message().find("clock is ") != std::string::npos);
      CHECK(failure.message().find("ahead of the store's") != std::string::npos);
      CHECK(failure.hint().find("timedatectl") != std::string::npos);
    }
  }
}

TEST_CASE("S3: parts grow with their number, so that ten thousand of them are enough") {
  CHECK(store::part_size(8, 1) == 8);
  CHECK(store::part_size(8, 1000) == 8);
  CHECK(store::part_size(8, 1001) == 16);
  CHECK(store::part_size(8, 10'000) == 64);
  std::uint64_t most = 0;
  for (std::size_t number = 1; number <= 10'000; ++number) most += store::part_size(8U << 20U, number);
  CHECK(most > 400ULL << 30U);
  FaultyS3 server;
  SystemClock clock;
  auto settings = server.settings(1);
  settings.part_size = 1000;
  store::S3Store store{settings, clock};
  const auto bytes = io::random_bytes(1'205'500);
  upload(store, "a/many", bytes);
  const auto calls = server.calls();
  CHECK(std::count_if(calls.begin(), calls.end(), [](const auto& call) { return call.method == "PUT"; }) == 1103);
  CHECK(store.find("a/many", patience())->size == bytes.size());
}

TEST_CASE("S3: a part beyond eight mebibytes goes out without a copy, and again after a lost connection") {
  FaultyS3 server;
  SystemClock clock;
  auto settings = server.settings(3);
  settings.part_size = 9U << 20U;
  store::S3Store store{settings, clock};
  const auto bytes = io::random_bytes(20U << 20U);
  int times = 0;
  server.fault([&](const FaultyS3::Call& call) { return call.method == "PUT" && times++ == 1 ? Fault::lost : Fault::none; });
  upload(store, "a/large", bytes);
  CHECK(times == 4);
  CHECK(store.get("a/large", patience()) == bytes);
}

TEST_CASE("S3: every page of unfinished uploads is swept") {
  FaultyS3 server;
  SystemClock clock;
  store::S3Client client{server.settings(1), clock};
  for (int i = 0; i < 8; ++i) client.send({"POST", "left/" + std::to_string(i), {{"uploads", ""}}, {}, {}}, patience());
  CHECK(server.open_uploads() == 8);
  store::S3Store store{server.settings(1), clock};
  store.sweep("left", patience());
  CHECK(server.open_uploads() == 0);
}

TEST_CASE("S3: a prefix that servers read differently is refused") {
  SystemClock clock;
  for (const char* bad : {"a//b", "./a", "a/../b", "a/.", "/a", "a\nb"}) {
    CAPTURE(bad);
    store::S3Settings settings;
    settings.address = {"bucket", bad};
    CHECK(code_of([&] { const store::S3Store store{settings, clock}; }) == Exit::config);
  }
}

TEST_CASE("backup to S3: the store dies at any call, and what is listed afterwards is whole") {
  auto* postgres = PostgresServer::shared();
  if (postgres == nullptr) return;
  Shop shop{*postgres, "CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 60000) i"};
  FaultyS3 server;
  SystemClock clock;
  SilentReporter reporter;
  store::S3Store store{server.settings(1), clock};
  backup::Catalogue catalogue{store, "shop/test"};
  backup::Keyring keys;
  keys.signing = io::new_signing_key();
  const auto take = [&] { return backup::take(catalogue, {"test", shop.target(), {}}, {}, keys, clock, reporter, a_minute()); };
  const auto first = take().manifest.label;
  server.fault({});
  take();
  const auto calls = server.calls().size();
  CHECK(calls > 20);
  std::size_t published = 2;
  for (std::size_t k = 1; k <= calls; ++k) {
    CAPTURE(k);
    server.fault([&](const FaultyS3::Call& call) { return call.number >= k ? Fault::reset : Fault::none; });
    const auto code = code_of([&] { take(); });
    server.fault({});
    server.drop_locks();
    const auto entries = catalogue.list(patience());
    REQUIRE(entries.front().manifest.label == first);
    // Whoever is not sure that it is published says so by failing; the rest of the time nothing is there.
    if (code == Exit::ok) CHECK(entries.size() == published + 1);
    CHECK(entries.size() <= published + 1);
    published = entries.size();
    if (k % 5 != 0 && k + 6 < calls) continue;
    for (const auto& entry : entries) {
      backup::Progress progress{reporter, clock, "verify", 0};
      CHECK(backup::verify(catalogue, entry, keys, clock.now(), progress, a_minute()).whole);
    }
  }
  take();
  CHECK(server.open_uploads() == 0);
}

TEST_CASE("s3: with a key that may add and not remove, one backup after the other is taken, and what stays is told") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 100) i"};
  struct Telling final : Reporter {
    void report(const Event& event) override {
      if (event.kind == Event::Kind::warning) warnings += event.text + "\n";
    }
    std::string warnings;
  } told;
  const auto says = [&](const std::string& part) { return told.warnings.find(part) != std::string::npos; };
  FaultyS3 s3;
  SystemClock clock;
  backup::Keyring keys;
  store::S3Store store{s3.settings(2), clock};
  backup::Catalogue catalogue{store, "shop/test"};
  backup::Options options;
  options.prune = backup::Policy{};
  options.prune->days = 0;
  options.prune->count = 1;
  options.prune->keep_min = 1;
  s3.fault([](const FaultyS3::Call& call) { return call.method == "DELETE" ? Fault::denied : Fault::none; });
  for (std::size_t i = 1; i <= 3; ++i) {
    told.warnings.clear();
    const auto taken = backup::take(catalogue, {"test", shop.target(), {}}, options, keys, clock, told, a_minute());
    CAPTURE(told.warnings);
    CHECK(says("backup " + taken.manifest.label + " is published and verified; what is of no more use in the store stays there: "));
    CHECK(says("may not be removed: "));
    CHECK(says("lacks s3:DeleteObject"));
    CHECK(catalogue.list(patience()).size() == i);
    CHECK(catalogue.find("latest", patience()).manifest.label == taken.manifest.label);
    CHECK(catalogue.unfinished(clock.now(), patience()).empty());
  }
  // Nobody holds the lock, whichever machine comes next.
  s3.fault([](const FaultyS3::Call& call) { return call.method == "DELETE" ? Fault::denied : Fault::none; });
  CHECK(store.try_lock("shop/test/lock", patience()));
  CHECK(s3.calls().back().method == "PUT");
  try {
    backup::prune(catalogue, *options.prune, clock.now(), false, patience());
    FAIL("pruned");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::config);
    CHECK(failure.message().find("manifest.json\" may not be removed: ") != std::string::npos);
    CHECK(failure.hint().find("s3:DeleteObject") != std::string::npos);
  }
}
