#include "commands/health.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "commands/health_environment.hpp"
#include "lib/base/units.hpp"
#include "lib/health/from_settings.hpp"
#include "lib/health/postgres_target.hpp"
#include "lib/health/report.hpp"
#include "lib/health/run.hpp"
#include "lib/io/postgres_environment.hpp"
#include "lib/io/process_replace.hpp"

namespace codops::commands {
namespace {

using health::Check;
using health::Report;

constexpr Milliseconds usual_deadline{10'000};
constexpr Milliseconds usual_wait{60'000};

Failure usage(std::string message, std::string hint) { return {Exit::usage, std::move(message), std::move(hint)}; }

class HealthCheck final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "whose checks: those of codops.yaml, or found by convention", false);
    parameters.positionals("CHECK", names_, "only these, and what they need");
    parameters.options("--url", "URL|env:NAME", urls_, "an HTTP or HTTPS endpoint that must answer");
    parameters.options("--tcp", "HOST:PORT", ports_, "a port that must accept");
    parameters.options("--tls", "HOST:PORT", certificates_, "a port whose certificate must verify and last");
    parameters.options("--postgres", "URL|env:NAME", databases_, "PostgreSQL that must answer SELECT 1; env: hides the password");
    parameters.options("--redis", "URL|env:NAME", caches_, "Redis that must answer PING");
    parameters.options("--container", "NAME", containers_, "a container that must run and be healthy");
    parameters.options("--disk", "PATH", disks_, "a file system that must have room");
    parameters.option("--status", "CODES", status_, "for --url: accepted HTTP status (200-299)");
    parameters.options("--header", "'NAME: VALUE'", headers_, "for --url: a header to send");
    parameters.options("--expect-header", "'NAME: TEXT'", expected_headers_, "for --url: a header that the answer must have");
    parameters.options("--body", "TEXT", bodies_, "for --url: text that the answer must contain");
    parameters.options("--json", "PATH=VALUE", json_, "for --url: what the JSON answer must say");
    parameters.choice("--redirects", {"follow", "same-host", "keep"}, redirects_, "for --url (follow); never from https to http");
    parameters.flag("--http2", http2_, "for --url: the answer must come over HTTP/2");
    parameters.option("--ca", "FILE", ca_, "trust this CA instead of the system's");
    parameters.option("--cert", "FILE", certificate_, "client certificate");
    parameters.option("--key", "FILE", key_, "key of the client certificate; CODOPS_KEY_PASSPHRASE opens an encrypted one");
    parameters.option("--server-name", "NAME", server_name_, "name to ask for and to verify, where the URL has an address");
    parameters.option("--connect-to", "HOST[:PORT]|SOCKET", connect_to_, "connect there instead of where the name leads");
    parameters.flag("--insecure", insecure_, "do not verify certificates; one that has ended is a warning");
    parameters.duration("--check-timeout", timeout_, "for one attempt (5s); --timeout is for all of them (10s)");
    parameters.number("--retries", "N", retries_, "further attempts after a failure (0)");
    parameters.number("--successes", "N", successes_, "so many in a row are well (1)");
    parameters.duration("--slow", slow_, "a slower answer is a warning");
    parameters.number("--parallel", "N", parallel_, "at once at most (500, or what ulimit -n allows)");
    parameters.flag("--strict", strict_, "a warning is a failure: exit 1");
    parameters.flag("--wait", wait_, "again and again until all is well; --timeout says how long (60s)");
    parameters.flag("--watch", watch_, "again and again, as a live table");
    parameters.duration("--interval", interval_, "for --watch (2s)");
    parameters.formats({"nagios", "junit", "prometheus", "github"});
    parameters.rest("COMMAND", command_, "becomes this program once all is well");
  }

  Result run(Services& services) override {
    try {
      return check(services);
    } catch (const Failure& failure) {
      const bool stopped = failure.code() == Exit::interrupted || failure.code() == Exit::terminated;
      if (services.options().format != "nagios" || stopped) throw;
      // Monitoring shows stdout, and knows the exit codes 0 to 3.
      return {Exit::unknown, health::nagios(failure), ""};
    }
  }

 private:
  Result check(Services& services) {
    passphrase_ = Secret{services.variable("CODOPS_KEY_PASSPHRASE").value_or("")};
    health::Convention found;
    auto deadline = usual_deadline;
    health::Options options;
    refuse_contradictions();
    const auto start = services.limits();
    if (!environment_.empty()) {
      const auto environment = services.environment(environment_);
      deadline = environment.health.deadline;
      options.parallel = static_cast<std::size_t>(std::max(1, environment.health.concurrency));
      found = checks_of(services, environment, start.within(deadline));
    }
    found.checks = select(std::move(found.checks), names_);
    add_ad_hoc(services, found.checks);
    if (found.checks.empty()) throw nothing_to_check();
    for (auto& check : found.checks) adjust(check);
    if (parallel_) options.parallel = static_cast<std::size_t>(std::max<std::int64_t>(1, *parallel_));
    options.strict = strict_;
    options.settle = [&found](Report report) { return keep_offered(std::move(report), found.alternatives); };
    if (insecure_) services.reporter().warn("--insecure: certificates are not verified");
    if (watch_) return watch(services, found, options, deadline);

    const auto report = once(services, found, options, deadline);
    const auto& format = services.options().format;
    const auto exit = format == "nagios" ? nagios_exit(report) : report.exit(strict_);
    // Only the form that is asked for: a thousand checks make megabytes of the other.
    const bool json = services.options().output == Output::json;
    auto text = json ? json_of(report, 2) : text_of(services, report);
    if (exit == Exit::ok && !command_.empty()) {
      services.write(text);
      io::postgres::restore_environment();
      io::replace_process(command_, services.options().caller_umask);
    }
    return json ? Result{exit, "", std::move(text)} : Result{exit, std::move(text), ""};
  }

  void refuse_contradictions() const {
    const bool for_url = status_ || !headers_.empty() || !expected_headers_.empty() || !bodies_.empty() || !json_.empty() || redirects_ || http2_;
    if (for_url && urls_.empty()) {
      throw usage("--status, --header, --expect-header, --body, --json, --redirects and --http2 are about a --url", "give a --url, or write the check into codops.yaml");
    }
    if (watch_ && (wait_ || !command_.empty())) throw usage("--watch goes with neither --wait nor a command", "leave one away");
    if (key_ && !certificate_) throw usage("--key is of a --cert", "--cert client.pem --key client.key");
  }

  Failure nothing_to_check() const {
    if (environment_.empty()) return usage("there is nothing to check", "codops health-check production, or --url https://host/health");
    return {Exit::config, "there is nothing to check in \"" + environment_ + "\"", "list checks in codops.yaml: health.checks"};
  }

  // Two of one name are told apart by a number.
  void add(std::vector<Check>& checks, const std::string& name, Check check) {
    check.name = name;
    for (int i = 2; !taken_.insert(check.name).second; ++i) check.name = fmt::format("{} #{}", name, i);
    checks.push_back(std::move(check));
  }

  template <typename What>
  static Check with(What what) {
    Check check;
    check.what = std::move(what);
    return check;
  }

  io::Trust trust() const { return {ca_.value_or(""), certificate_.value_or(""), key_.value_or(""), insecure_, passphrase_}; }

  io::Via via() const {
    if (!connect_to_) return {};
    if (connect_to_->starts_with('/')) return {{}, 0, *connect_to_};
    const auto address = io::parse_host_port(*connect_to_);
    if (!address) throw usage("\"" + io::shown_url(*connect_to_) + "\" is nothing to connect to", "write 10.0.0.7, 10.0.0.7:8443 or /run/app.sock");
    return {address->host, address->port, {}};
  }

  static io::HostPort address(const std::string& option, const std::string& text, std::uint16_t port) {
    auto parsed = io::parse_host_port(text);
    if (!parsed || (parsed->port == 0 && port == 0)) throw usage(option + " wants host:port, not \"" + io::shown_url(text) + "\"", option + " db.example:5432");
    if (parsed->port == 0) parsed->port = port;
    return *parsed;
  }

  static std::string value_of(Services& services, const std::string& option, const std::string& text) {
    if (!text.starts_with("env:")) return text;
    const auto value = services.variable(text.substr(4));
    if (!value || value->empty()) throw usage("the variable \"" + text.substr(4) + "\" of " + option + " is not set", "export it, or give the URL");
    return *value;
  }

  static std::pair<std::string, std::string> split_header(const std::string& option, const std::string& text) {
    const auto colon = text.find(':');
    if (colon == std::string::npos || colon == 0) throw usage(option + " wants 'Name: value'", option + " 'Accept: application/json'");
    const auto start = text.find_first_not_of(' ', colon + 1);
    return {text.substr(0, colon), start == std::string::npos ? "" : text.substr(start)};
  }

  // "https//user:password@host", "http:/host": taken for a host and its path, it would be shown, and looked up.
  static bool is_misspelt(const std::string& url) {
    const auto after = url.starts_with("https") ? url.substr(5) : url.starts_with("http") ? url.substr(4) : std::string{};
    if (after.starts_with("://")) return false;
    return after.starts_with("//") || after.starts_with(":/") || (after.find_first_of(":/;") == 0 && after.find('@') != std::string::npos);
  }

  health::HttpCheck http(const std::string& url) const {
    health::HttpCheck what;
    if (is_misspelt(url)) throw usage("\"" + io::shown_url(url) + "\" is not a URL of http or https", "--url https://host/path");
    what.request.url = url.find("://") == std::string::npos ? "http://" + url : url;
    const auto scheme = what.request.url.substr(0, what.request.url.find("://"));
    if ((scheme != "http" && scheme != "https") || what.request.url.size() == scheme.size() + 3) {
      throw usage("\"" + io::shown_url(url) + "\" is not a URL of http or https", "--url https://host/path");
    }
    what.request.trust = trust();
    what.request.via = via();
    what.request.server_name = server_name_.value_or("");
    if (redirects_ == "keep") what.request.redirects = io::HttpProbeRequest::Redirects::keep;
    if (redirects_ == "same-host") what.request.redirects = io::HttpProbeRequest::Redirects::same_host;
    if (http2_) what.request.version = url.starts_with("https") ? io::HttpProbeRequest::Version::http2 : io::HttpProbeRequest::Version::http2_prior_knowledge;
    what.expect_http2 = http2_;
    if (status_) {
      const auto codes = health::StatusCodes::parse(*status_);
      if (!codes) throw usage("\"" + *status_ + "\" are no HTTP statuses", "--status 200-299,404");
      what.expect_status = *codes;
    }
    for (const auto& text : headers_) {
      auto [name, value] = split_header("--header", text);
      what.request.headers.emplace_back(std::move(name), Secret{std::move(value)});
    }
    for (const auto& text : expected_headers_) {
      auto [name, value] = split_header("--expect-header", text);
      for (auto& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
      what.expect_headers.push_back({std::move(name), std::move(value)});
    }
    what.body_contains = bodies_;
    for (const auto& text : json_) {
      const auto equals = text.find('=');
      if (equals == std::string::npos || equals == 0) throw usage("--json wants PATH=VALUE, not \"" + text + "\"", "--json '$.checks.db=ok'");
      what.expect_json.push_back({text.substr(0, equals), text.substr(equals + 1)});
    }
    return what;
  }

  void add_ad_hoc(Services& services, std::vector<Check>& checks) {
    for (const auto& check : checks) taken_.insert(check.name);
    for (const auto& url : urls_) {
      auto check = with(http(value_of(services, "--url", url)));
      const auto name = health::target_of(check);
      add(checks, name, std::move(check));
    }
    for (const auto& text : ports_) {
      const auto where = address("--tcp", text, 0);
      add(checks, to_string(where), with(health::TcpCheck{{where.host, where.port, via()}}));
    }
    for (const auto& text : certificates_) {
      const auto where = address("--tls", text, 443);
      add(checks, to_string(where), with(health::TlsCheck{{{where.host, where.port, via()}, server_name_.value_or(""), trust()}, {}}));
    }
    for (const auto& text : databases_) {
      health::Check check;
      auto target = health::postgres_target(value_of(services, "--postgres", text), "--postgres", &check);
      if (!target) {
        add(checks, "postgres", std::move(check));
        continue;
      }
      health::PostgresCheck what{*std::move(target), via(), {}, {}, {}, {}};
      if (ca_ && what.target.options.try_emplace("sslrootcert", *ca_).second) what.target.options.try_emplace("sslmode", "verify-full");
      add(checks, "postgres", with(std::move(what)));
    }
    for (const auto& text : caches_) {
      health::RedisCheck what{io::parse_redis_url(value_of(services, "--redis", text)), "", {}, {}};
      if (what.target.tcp.via.unix_socket.empty()) what.target.tcp.via = via();
      what.target.trust = trust();
      what.target.server_name = server_name_.value_or("");
      add(checks, "redis", with(std::move(what)));
    }
    for (const auto& path : disks_) add(checks, "disk " + path, health::disk_check(path));
    if (containers_.empty()) return;
    const auto list = containers_of_engine(services, nullptr, {});
    for (const auto& name : containers_) add(checks, name, health::container_check(name, list));
  }

  void adjust(Check& check) const {
    if (timeout_) check.timeout = *timeout_;
    if (retries_) check.failures = static_cast<int>(std::clamp<std::int64_t>(*retries_, 0, 1000)) + 1;
    if (successes_) check.successes = static_cast<int>(std::clamp<std::int64_t>(*successes_, 1, 1000));
    if (slow_) check.warn_after = slow_;
  }

  Report once(Services& services, const health::Convention& found, const health::Options& options, Milliseconds deadline) const {
    const auto given = services.limits();
    const auto limits = given.deadline.is_never() ? given.within(wait_ ? std::max(deadline, usual_wait) : deadline) : given;
    const bool live = wait_ && services.options().format == "text" && services.options().output == Output::text;
    if (!wait_) return health::run(found.checks, options, limits);
    return wait_until_healthy(found.checks, options, limits, [&](const Report& round) {
      if (live && !round.healthy(strict_)) services.reporter().note("waiting: " + summary(round));
    });
  }

  // Servers and commands say what they like: bytes that are no UTF-8 are replaced.
  std::string json_of(const Report& report, int indent) const {
    return to_json(report, strict_).dump(indent, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }

  std::string text_of(Services& services, const Report& report) const {
    const auto& format = services.options().format;
    if (format == "nagios") return nagios(report);
    if (format == "junit") return junit(report);
    if (format == "prometheus") return prometheus(report);
    if (format == "github") return github(report);
    return table(report, services.terminal().width, services.terminal().color);
  }

  // As much as the terminal shows now, which may have been resized: what is higher than it can't be replaced.
  static std::string fitted(const std::string& text, std::size_t width) {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) size = {24, static_cast<unsigned short>(width), 0, 0};
    return health::fitted_rows(health::fitted_lines(text, std::min<std::size_t>(width, size.ws_col)), size.ws_row - 1U);
  }

  // On a terminal each table replaces the last one; elsewhere they follow each other.
  Result watch(Services& services, const health::Convention& found, const health::Options& options, Milliseconds deadline) const {
    const auto limits = services.limits();
    std::size_t lines = 0;
    std::optional<Exit> last;
    for (;;) {
      const auto report = health::run(found.checks, options, limits.within(deadline));
      // The end of the watch cuts a round anywhere: the last whole one is the answer.
      if (last && report.ended_by == Exit::deadline && limits.deadline.expired()) return {*last, "", ""};
      last = report.exit(strict_);
      const auto json = services.options().output == Output::json;
      const auto text = json ? json_of(report, -1) : text_of(services, report);
      const bool stopped = report.ended_by == Exit::interrupted || report.ended_by == Exit::terminated;
      if (!stopped) {
        const bool live = services.terminal().out && !json && services.options().format == "text";
        const auto back = live && lines > 0 ? fmt::format("\033[{}A\033[J", lines) : std::string{};
        const auto shown = live ? fitted(text, services.terminal().width) : text;
        if (!services.write(back + shown)) return {Exit::ok, "", ""};
        lines = static_cast<std::size_t>(std::count(shown.begin(), shown.end(), '\n'));
      }
      if (stopped || limits.deadline.expired()) return {report.exit(strict_), "", ""};
      constexpr Milliseconds shortest{100};
      try {
        limits.within(std::max(shortest, interval_.value_or(Milliseconds{2000}))).wait(-1, 0);
      } catch (const Failure& failure) {
        return {failure.code(), "", ""};  // Ctrl-C is how one leaves
      }
      if (limits.deadline.expired()) return {report.exit(strict_), "", ""};
    }
  }

  std::string environment_;
  std::unordered_set<std::string> taken_;
  std::vector<std::string> names_, urls_, ports_, certificates_, databases_, caches_, containers_, disks_;
  std::vector<std::string> headers_, expected_headers_, bodies_, json_, command_;
  std::optional<std::string> status_, redirects_, ca_, certificate_, key_, server_name_, connect_to_;
  Secret passphrase_;
  std::optional<Milliseconds> timeout_, slow_, interval_;
  std::optional<std::int64_t> retries_, successes_, parallel_;
  bool http2_{false}, insecure_{false}, strict_{false}, wait_{false}, watch_{false};
};

}  // namespace

std::unique_ptr<Command> make_health_check() { return make_command<HealthCheck>(); }

}  // namespace codops::commands
