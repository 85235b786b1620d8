#include "commands/health_ad_hoc.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "commands/health_environment.hpp"
#include "lib/base/ascii.hpp"
#include "lib/health/postgres_target.hpp"
#include "lib/io/shown_word.hpp"

namespace codops::commands {
namespace {

using health::Check;

Failure misused(std::string message, std::string hint) { return {Exit::usage, std::move(message), std::move(hint)}; }

template <typename What>
Check with(What what) {
  Check check;
  check.what = std::move(what);
  return check;
}

io::HostPort address(const std::string& option, const std::string& text, std::uint16_t port) {
  auto parsed = io::parse_host_port(text);
  if (!parsed || (parsed->port == 0 && port == 0)) throw misused(option + " wants host:port, not \"" + io::shown_url(text) + "\"", option + " db.example:5432");
  if (parsed->port == 0) parsed->port = port;
  return *parsed;
}

std::string value_of(Services& services, const std::string& option, const std::string& text) {
  if (!text.starts_with("env:")) return text;
  const auto value = services.variable(text.substr(4));
  if (!value || value->empty()) throw misused("the variable \"" + io::shown_word(text.substr(4)) + "\" of " + option + " is not set", "export it, or give the URL");
  return *value;
}

std::pair<std::string, std::string> split_header(const std::string& option, const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos || colon == 0) throw misused(option + " wants 'Name: value'", option + " 'Accept: application/json'");
  if (const auto trouble = io::trouble_of_header(text.substr(0, colon), text.substr(colon + 1)); !trouble.empty()) {
    throw misused(option + ": " + trouble, "take it out: it would end the header, and begin another");
  }
  const auto start = text.find_first_not_of(' ', colon + 1);
  return {text.substr(0, colon), start == std::string::npos ? "" : text.substr(start)};
}

// Where a URL leads; told apart from others, never shown.
std::string authority_of(const std::string& url, bool with_port) {
  const auto start = url.find("://") + 3;
  auto authority = url.substr(start, url.find_first_of("/?#", start) - start);
  authority.erase(0, authority.rfind('@') + 1);
  const auto address = io::parse_host_port(authority);
  return address && !with_port ? address->host : authority;
}

// "https//user:password@host", "http:/host": taken for a host and its path, it would be shown, and looked up.
bool is_misspelt(const std::string& url) {
  const auto after = url.starts_with("https") ? url.substr(5) : url.starts_with("http") ? url.substr(4) : std::string{};
  if (after.starts_with("://")) return false;
  return after.starts_with("//") || after.starts_with(":/") || (after.find_first_of(":/;") == 0 && after.find('@') != std::string::npos);
}

}  // namespace

void HealthAdHoc::declare(Parameters& parameters) {
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
  parameters.option("--ca", "FILE", ca_, "for --url, --tls, rediss and --postgres: the CA to trust");
  parameters.option("--cert", "FILE", certificate_, "for --url, --tls and rediss: client certificate");
  parameters.option("--key", "FILE", key_, "key of the client certificate; CODOPS_KEY_PASSPHRASE opens an encrypted one");
  parameters.option("--server-name", "NAME", server_name_, "for the same: the name to ask for and to verify");
  parameters.option("--connect-to", "HOST[:PORT]|SOCKET", connect_to_, "for --url and --tls: connect there instead of where the name leads");
  parameters.flag("--insecure", insecure_, "for --url, --tls and rediss: do not verify certificates");
}

void HealthAdHoc::refuse_contradictions() const {
  const bool for_url = status_ || !headers_.empty() || !expected_headers_.empty() || !bodies_.empty() || !json_.empty() || redirects_ || http2_;
  if (for_url && urls_.empty()) {
    throw misused("--status, --header, --expect-header, --body, --json, --redirects and --http2 are about a --url", "give a --url, or write the check into codops.yaml");
  }
  const bool names = !urls_.empty() || !certificates_.empty();
  const bool redis_with_tls = std::any_of(caches_.begin(), caches_.end(), [](const auto& url) { return url.starts_with("rediss:") || url.starts_with("env:"); });
  const auto about = [&](const std::string& option, const std::string& what) {
    throw misused(option + " is about " + what, databases_.empty() ? "give one; listed checks have ca, certificate, key, server_name and resolve in codops.yaml"
                                                                   : "write it into the URL of --postgres: sslrootcert, sslcert, sslkey, hostaddr");
  };
  if (connect_to_ && !names) about("--connect-to", "a --url or --tls");
  if (ca_ && !names && !redis_with_tls && databases_.empty()) about("--ca", "a --url, --tls, --redis rediss://… or --postgres");
  for (const auto& [option, given] : {std::pair{"--cert", certificate_.has_value()}, {"--server-name", server_name_.has_value()}, {"--insecure", insecure_}}) {
    if (given && !names && !redis_with_tls) about(option, "a --url, --tls or --redis rediss://…");
  }
  if (key_ && !certificate_) throw misused("--key is of a --cert", "--cert client.pem --key client.key");
}

void HealthAdHoc::add_to(std::vector<Check>& checks, Services& services) {
  passphrase_ = Secret{services.variable("CODOPS_KEY_PASSPHRASE").value_or("")};
  for (const auto& check : checks) taken_.insert(check.name);
  std::set<std::string> led;  // elsewhere, by --connect-to
  const bool with_port = via().port != 0 || !via().unix_socket.empty();
  for (const auto& url : urls_) {
    auto check = with(http(value_of(services, "--url", url)));
    const auto name = health::target_of(check);
    if (connect_to_) led.insert(authority_of(std::get<health::HttpCheck>(check.what).request.url, with_port));
    add(checks, name, std::move(check));
  }
  for (const auto& text : ports_) {
    const auto where = address("--tcp", text, 0);
    add(checks, to_string(where), with(health::TcpCheck{{where.host, where.port, {}}}));
  }
  for (const auto& text : certificates_) {
    const auto where = address("--tls", text, 443);
    if (connect_to_) led.insert(with_port ? to_string(where) : where.host);
    add(checks, to_string(where), with(health::TlsCheck{{{where.host, where.port, via()}, server_name_.value_or(""), trust()}, {}}));
  }
  // One address for several is a load balancer's, or an accident.
  if (led.size() > 1) services.reporter().note(fmt::format("--connect-to: what leads to {} places is all asked at {}", led.size(), io::shown_url(*connect_to_)));
  add_postgres(checks, services);
  for (const auto& text : caches_) {
    health::RedisCheck what{io::parse_redis_url(value_of(services, "--redis", text)), "", {}, {}};
    what.target.trust = trust();
    what.target.server_name = server_name_.value_or("");
    add(checks, "redis", with(std::move(what)));
  }
  for (const auto& path : disks_) add(checks, "disk " + io::shown_word(path), health::disk_check(path));
  if (containers_.empty()) return;
  const auto list = containers_of_engine(services, nullptr, {});
  for (const auto& name : containers_) add(checks, io::shown_word(name), health::container_check(name, list));
}

void HealthAdHoc::add_postgres(std::vector<Check>& checks, Services& services) {
  for (const auto& text : databases_) {
    health::Check check;
    auto target = health::postgres_target(value_of(services, "--postgres", text), "--postgres", &check);
    if (!target) {
      add(checks, "postgres", std::move(check));
      continue;
    }
    health::PostgresCheck what{*std::move(target), {}, {}, {}, {}, {}};
    auto& options = what.target.options;
    const auto mode = options.find("sslmode");
    const bool verifies = mode != options.end() && mode->second.starts_with("verify-");
    // A CA that may be meant for another check demands nothing of a database that does not verify by itself.
    if (ca_ && (verifies || !others_have_tls(services)) && options.try_emplace("sslrootcert", *ca_).second) options.try_emplace("sslmode", "verify-full");
    add(checks, "postgres", with(std::move(what)));
  }
}

bool HealthAdHoc::others_have_tls(Services& services) const {
  const auto any = [&](const std::string& option, const std::vector<std::string>& texts, std::string_view scheme) {
    return std::any_of(texts.begin(), texts.end(), [&](const auto& text) { return ascii_lower(value_of(services, option, text)).starts_with(scheme); });
  };
  return !certificates_.empty() || any("--url", urls_, "https:") || any("--redis", caches_, "rediss:");
}

// Two of one name are told apart by a number.
void HealthAdHoc::add(std::vector<Check>& checks, const std::string& name, Check check) {
  check.name = name;
  for (int i = 2; !taken_.insert(check.name).second; ++i) check.name = fmt::format("{} #{}", name, i);
  checks.push_back(std::move(check));
}

health::HttpCheck HealthAdHoc::http(const std::string& url) const {
  health::HttpCheck what;
  if (is_misspelt(url)) throw misused("\"" + io::shown_url(url) + "\" is not a URL of http or https", "--url https://host/path");
  what.request.url = url.find("://") == std::string::npos ? "http://" + url : io::with_lower_scheme(url);
  const auto scheme = what.request.url.substr(0, what.request.url.find("://"));
  if ((scheme != "http" && scheme != "https") || what.request.url.size() == scheme.size() + 3) {
    throw misused("\"" + io::shown_url(url) + "\" is not a URL of http or https", "--url https://host/path");
  }
  what.request.trust = trust();
  what.request.via = via();
  what.request.server_name = server_name_.value_or("");
  if (redirects_ == "keep") what.request.redirects = io::HttpProbeRequest::Redirects::keep;
  if (redirects_ == "same-host") what.request.redirects = io::HttpProbeRequest::Redirects::same_host;
  if (http2_) what.request.version = scheme == "https" ? io::HttpProbeRequest::Version::http2 : io::HttpProbeRequest::Version::http2_prior_knowledge;
  what.expect_http2 = http2_;
  if (status_) {
    const auto codes = health::StatusCodes::parse(*status_);
    if (!codes) throw misused("\"" + io::shown_word(*status_) + "\" are no HTTP statuses", "--status 200-299,404");
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
    if (equals == std::string::npos || equals == 0) throw misused("--json wants PATH=VALUE, not \"" + io::shown_word(text) + "\"", "--json '$.checks.db=ok'");
    what.expect_json.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  return what;
}

io::Trust HealthAdHoc::trust() const { return {ca_.value_or(""), certificate_.value_or(""), key_.value_or(""), insecure_, passphrase_}; }

io::Via HealthAdHoc::via() const {
  if (!connect_to_) return {};
  if (connect_to_->starts_with('/')) return {{}, 0, *connect_to_};
  const auto address = io::parse_host_port(*connect_to_);
  if (!address) throw misused("\"" + io::shown_url(*connect_to_) + "\" is nothing to connect to", "write 10.0.0.7, 10.0.0.7:8443 or /run/app.sock");
  return {address->host, address->port, {}};
}

}  // namespace codops::commands
