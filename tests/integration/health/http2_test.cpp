// HTTP/2 against a real nginx: negotiated by ALPN under TLS, and as prior knowledge in the clear.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "lib/health/run.hpp"
#include "lib/io/process.hpp"
#include "tests/support/scripted_server.hpp"

using namespace codops;
using namespace codops::health;
using namespace std::chrono_literals;
using tests::Identity;
using tests::make_certificate;
using Version = io::HttpProbeRequest::Version;

namespace {

std::uint16_t free_port() { return tests::ScriptedServer{[](tests::Peer&) {}}.port(); }

struct Nginx {
  std::filesystem::path folder;
  std::uint16_t tls{}, tls1{}, clear{};
  std::unique_ptr<io::Child> child;

  static std::unique_ptr<Nginx> start() {
    auto program = io::find_program("nginx");
    if (!program && std::filesystem::exists("/usr/sbin/nginx")) program = "/usr/sbin/nginx";
    if (!program) {
      MESSAGE("skipped: no nginx");
      if (std::getenv("CODOPS_REQUIRE_SERVICES") != nullptr) FAIL_CHECK("nginx is required");
      return nullptr;
    }
    auto out = std::make_unique<Nginx>();
    char name[] = "/tmp/codops-nginx-XXXXXX";
    out->folder = ::mkdtemp(name);
    const auto& folder = out->folder;
    std::filesystem::permissions(folder, std::filesystem::perms{0755});
    const auto root = make_certificate({"Test Root", {}, -1, 3650, true, nullptr});
    const auto leaf = make_certificate({"shop.test", {"DNS:shop.test"}, -1, 30, false, &root});
    tests::write_file(folder / "ca.pem", root.pem());
    tests::write_file(folder / "server.pem", leaf.pem());
    tests::write_file(folder / "server.key", leaf.key_pem());
    tests::write_file(folder / "health.json", R"({"status":"ok"})");
    tests::write_file(folder / "sick.json", R"({"status":"fail"})");
    tests::write_file(folder / "big.bin", "");
    std::filesystem::resize_file(folder / "big.bin", std::uintmax_t{10} << 30U);  // a hole: it takes no room
    for (auto* port : {&out->tls, &out->tls1, &out->clear}) *port = free_port();
    const auto server = [&](std::uint16_t port, const std::string& how) {
      return fmt::format("server {{ listen 127.0.0.1:{} {}; ssl_certificate {}/server.pem; ssl_certificate_key {}/server.key;\n"
                         " root {}; types {{ application/json json; }}\n location = /moved {{ return 302 /health.json; }}\n"
                         " location = /busy {{ return 503; }} location = /cut {{ return 444; }} }}\n",
                         port, how, folder.string(), folder.string(), folder.string());
    };
    tests::write_file(folder / "nginx.conf",
                      fmt::format("daemon off; master_process off; pid {0}/pid; error_log {0}/error.log;\nevents {{}}\nhttp {{ access_log off;\n"
                                  "client_body_temp_path {0}/t1; proxy_temp_path {0}/t2; fastcgi_temp_path {0}/t3; uwsgi_temp_path {0}/t4; scgi_temp_path {0}/t5;\n",
                                  folder.string()) +
                          server(out->tls, "ssl http2") + server(out->tls1, "ssl") + server(out->clear, "http2") + "}\n");
    io::Program run;
    run.argv = {program->string(), "-c", (folder / "nginx.conf").string(), "-p", folder.string()};
    run.env = io::usual_environment();
    out->child = std::make_unique<io::Child>(run, io::Child::Stdio{});
    Check port;
    port.name = "nginx";
    port.what = TcpCheck{{"127.0.0.1", out->clear, {}}};
    REQUIRE(wait_until_healthy({port}, {}, Limits{}.within(10s)).healthy());
    return out;
  }
  ~Nginx() {
    if (child) child->stop();
    std::filesystem::remove_all(folder);
  }

  Check check(std::uint16_t port, const std::string& path, Version version) const {
    HttpCheck what;
    what.request.url = fmt::format("{}://127.0.0.1:{}{}", port == clear ? "http" : "https", port, path);
    if (port != clear) what.request.server_name = "shop.test";
    what.request.trust.ca_file = (folder / "ca.pem").string();
    what.request.version = version;
    what.expect_http2 = version == Version::http2 || version == Version::http2_prior_knowledge;
    Check out;
    out.name = "web";
    out.what = what;
    return out;
  }
};

Outcome run_one(const Check& check) { return run({check}, {}, Limits{}.within(10s)).outcomes.at(0); }

}  // namespace

TEST_CASE("HTTP/2 of a real nginx") {
  const auto nginx = Nginx::start();
  if (!nginx) return;

  SUBCASE("negotiated under TLS, asked for or not") {
    for (const auto version : {Version::automatic, Version::http2}) {
      const auto outcome = run_one(nginx->check(nginx->tls, "/health.json", version));
      CAPTURE(outcome.message);
      CHECK(outcome.status == Status::ok);
      CHECK(outcome.http_version == "2");
      CHECK(outcome.times.tls.has_value());
      REQUIRE(outcome.tls);
      CHECK(outcome.tls->verified);
    }
    CHECK(run_one(nginx->check(nginx->tls, "/health.json", Version::http1)).http_version == "1.1");
  }
  SUBCASE("in the clear, by prior knowledge") {
    const auto outcome = run_one(nginx->check(nginx->clear, "/health.json", Version::http2_prior_knowledge));
    CAPTURE(outcome.message);
    CHECK(outcome.status == Status::ok);
    CHECK(outcome.http_version == "2");
  }
  SUBCASE("a server without it is found out") {
    const auto outcome = run_one(nginx->check(nginx->tls1, "/health.json", Version::http2));
    CHECK(outcome.status == Status::fail);
    CHECK(outcome.stage == io::Stage::status);
    CHECK(outcome.message == "the answer is HTTP/1.1, not HTTP/2");
  }
  SUBCASE("status, body and redirects mean the same") {
    const auto busy = run_one(nginx->check(nginx->tls, "/busy", Version::http2));
    CHECK(busy.http_status == 503);
    CHECK(busy.stage == io::Stage::status);
    CHECK(run_one(nginx->check(nginx->tls, "/sick.json", Version::http2)).stage == io::Stage::body);
    const auto moved = run_one(nginx->check(nginx->tls, "/moved", Version::http2));
    CAPTURE(moved.message);
    CHECK(moved.status == Status::ok);
    CHECK(moved.http_status == 200);
  }
  SUBCASE("a stream or connection that nginx cuts is a failure in its stage") {
    const auto outcome = run_one(nginx->check(nginx->tls, "/cut", Version::http2));
    CAPTURE(outcome.message);
    CHECK(outcome.status == Status::fail);
    CHECK(outcome.stage == io::Stage::request);
  }
  SUBCASE("10 GB are not read") {
    const auto outcome = run_one(nginx->check(nginx->tls, "/big.bin", Version::http2));
    CAPTURE(outcome.message);
    CHECK(outcome.status == Status::ok);
    CHECK(outcome.elapsed < 5s);
  }
}
