#include "lib/backup/verify.hpp"
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

TEST_CASE("S3: any single call may fail once, by 500, 503 or a reset, and nothing is lost") {
  FaultyS3 server;
  SystemClock clock;
  const auto bytes = io::random_bytes(2'500'000);
  store::S3Store store{server.settings(3), clock};
  upload(store, "a/large", bytes);
  CHECK(io::read_all(*store.open("a/large", patience()), bytes.size()) == bytes);
  const auto calls = server.calls().size();
  CHECK(calls > 8);
  const std::array faults{Fault::internal, Fault::slow_down, Fault::reset};
  for (std::size_t k = 1; k <= calls; ++k) {
    CAPTURE(k);
    server.fault([&](const FaultyS3::Call& call) { return call.number == k ? faults.at(k % faults.size()) : Fault::none; });
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
  CHECK(fails([&](const Call& call) { return is_part(call, "3") ? Fault::internal : Fault::none; }) == Exit::unavailable);
  CHECK(fails([&](const Call& call) { return call.method == "POST" && call.query.starts_with("uploadId") ? Fault::error_in_200 : Fault::none; }) == Exit::failed);
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
