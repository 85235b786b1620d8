#include "lib/health/attempt.hpp"

#include "lib/base/without_secret.hpp"
#include "lib/health/command_probe.hpp"
#include "lib/health/verdict.hpp"
#include "lib/io/errand.hpp"

namespace codops::health {
namespace {

using Done = std::function<void(Answer)>;

WallTime wall_now() { return std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now()); }

// The answer of a probe that did not get through; nothing when it did.
std::optional<Answer> troubled(const io::ProbeResult& result) {
  if (result.trouble == io::Trouble::none) return std::nullopt;
  Answer answer;
  answer.busy = result.trouble == io::Trouble::busy;
  answer.finding = {result.trouble == io::Trouble::failed ? Status::fail : Status::unknown, result.stage,
                    io::shown_text(result.message), io::shown_text(result.hint), {}};
  return answer;
}

void take_facts(Answer& answer, const io::ProbeResult& result) {
  answer.facts.times = result.times;
  answer.facts.address = result.address;
  answer.facts.tls = result.tls;
}

// What is asked on a thread. When the run ends first, the thread is told through its limits and left behind.
class AskedProbe final : public io::Probe {
 public:
  AskedProbe(Network& network, const AskedCheck& check, Milliseconds timeout, const Done& done) {
    // The loop's clock decides and cancels; the thread's own comes later, or the two would race for what is said.
    constexpr Milliseconds later{2000};
    const Limits limits{Deadline::after(timeout + later), cancel_.token()};
    errand_ = io::start_errand(network.loop, [ask = check.ask, limits, done] {
      Answer answer;
      try {
        answer.finding = ask(limits);
      } catch (const Failure& failure) {
        answer.finding = {Status::unknown, io::Stage::request, failure.message(), failure.hint(), {}};
      } catch (const std::exception& error) {
        answer.finding = {Status::unknown, io::Stage::request, error.what(), "", {}};
      }
      return [done, answer = std::move(answer)] { done(answer); };
    });
    if (errand_) return;
    errand_ = std::make_shared<int>();
    network.loop.mailbox().post([done, wanted = std::weak_ptr<void>{errand_}] {
      Answer busy;
      busy.busy = true;
      if (const auto alive = wanted.lock()) done(std::move(busy));
    });
  }
  ~AskedProbe() override { cancel_.cancel(Exit::deadline); }
  AskedProbe(const AskedProbe&) = delete;
  AskedProbe& operator=(const AskedProbe&) = delete;

  io::Stage stage() const override { return io::Stage::request; }
  io::StageTimes times() const override { return {}; }
  std::string address() const override { return {}; }

 private:
  CancelSource cancel_;
  io::Errand errand_;
};

// A check that names files of ours begins once they are read: a pipe or a file server that is gone holds nothing else up.
class ReadingProbe final : public io::Probe {
 public:
  using Begin = std::function<std::unique_ptr<io::Probe>()>;
  ReadingProbe(Network& network, const io::Trust& trust, const Begin& begin) : stores_{network.stores}, trust_{trust} {
    errand_ = network.stores.read(network.loop, trust, [this, begin] { probe_ = begin(); });
    if (!errand_) probe_ = begin();
  }

  io::Stage stage() const override { return probe_ ? probe_->stage() : io::Stage::none; }
  io::StageTimes times() const override { return probe_ ? probe_->times() : io::StageTimes{}; }
  std::string address() const override { return probe_ ? probe_->address() : std::string{}; }
  std::string waits_for() const override { return probe_ ? probe_->waits_for() : io::listed(stores_.unread(trust_)); }

 private:
  const io::TrustStores& stores_;
  io::Trust trust_;
  io::Errand errand_;
  std::unique_ptr<io::Probe> probe_;
};

std::unique_ptr<io::Probe> once_read(Network& network, const io::Trust& trust, const ReadingProbe::Begin& begin) {
  return network.stores.unread(trust).empty() ? begin() : std::make_unique<ReadingProbe>(network, trust, begin);
}

struct Starter {
  Network& network;
  const Check& check;
  Done done;

  std::unique_ptr<io::Probe> operator()(const HttpCheck& http) const {
    auto request = http.request;
    if (!http.expect_json.empty() || !http.body_contains.empty()) {
      request.keep_body = std::max<std::size_t>(request.keep_body, 1U << 20U);
    } else if (http.read_status) {
      request.keep_json = 1U << 20U;
    }
    // What a port of TLS says to plain HTTP.
    if (request.url.starts_with("http://")) request.keep_body = std::max<std::size_t>(request.keep_body, 512);
    return network.http().start(std::move(request), [&http, done = done](const io::HttpProbeResult& result) {
      auto answer = troubled(result).value_or(Answer{});
      if (result.trouble == io::Trouble::none) answer.finding = judge_http(http, result, wall_now());
      // Bodies, and what else a server says, may quote what it was sent.
      if (!answer.finding.message.empty()) {
        for (const auto& secret : io::secrets_of(http.request)) {
          answer.finding.message = without_secret(answer.finding.message, secret);
          answer.finding.hint = without_secret(answer.finding.hint, secret);
        }
      }
      take_facts(answer, result);
      if (result.status != 0) answer.facts.http_status = result.status;
      answer.facts.http_version = result.version;
      for (const auto& name : http.capture) {
        if (const auto* value = result.header(name)) answer.facts.captured[name] = *value;
      }
      done(std::move(answer));
    });
  }

  std::unique_ptr<io::Probe> operator()(const TcpCheck& tcp) const {
    return io::start_tcp_probe(network.loop, network.resolver, tcp.target, [done = done](const io::ProbeResult& result) {
      auto answer = troubled(result).value_or(Answer{});
      take_facts(answer, result);
      done(std::move(answer));
    });
  }

  std::unique_ptr<io::Probe> operator()(const TlsCheck& tls) const {
    return once_read(network, tls.target.trust, [&network = network, &tls, done = done] {
      return io::start_tls_probe(network.loop, network.resolver, network.stores, tls.target, [&tls, done](const io::ProbeResult& result) {
        auto answer = troubled(result).value_or(Answer{});
        if (result.trouble == io::Trouble::none && result.tls) answer.finding = judge_certificate(tls.certificate, *result.tls, wall_now());
        take_facts(answer, result);
        done(std::move(answer));
      });
    });
  }

  std::unique_ptr<io::Probe> operator()(const PostgresCheck& postgres) const {
    const bool statistics = postgres.warn_lag || postgres.fail_lag || postgres.warn_connections || postgres.fail_connections;
    return io::start_postgres_probe(network.loop, network.resolver, {postgres.target, postgres.via, statistics},
                                    [&postgres, done = done](const io::PostgresResult& result) {
                                      auto answer = troubled(result).value_or(Answer{});
                                      if (result.trouble == io::Trouble::none) answer.finding = judge_postgres(postgres, result.facts);
                                      take_facts(answer, result);
                                      done(std::move(answer));
                                    });
  }

  std::unique_ptr<io::Probe> operator()(const RedisCheck& redis) const {
    return once_read(network, redis.target.tls ? redis.target.trust : io::Trust{}, [&network = network, &redis, done = done] {
      return io::start_redis_probe(network.loop, network.resolver, network.stores, redis.target, [&redis, done](const io::RedisResult& result) {
        auto answer = troubled(result).value_or(Answer{});
        if (result.trouble == io::Trouble::none) answer.finding = judge_redis(redis, result.facts);
        take_facts(answer, result);
        done(std::move(answer));
      });
    });
  }

  std::unique_ptr<io::Probe> operator()(const CommandCheck& command) const {
    return start_command_probe(network.loop, command, [done = done](Finding finding) {
      Answer answer;
      answer.finding = std::move(finding);
      done(std::move(answer));
    });
  }

  std::unique_ptr<io::Probe> operator()(const AskedCheck& asked) const {
    return std::make_unique<AskedProbe>(network, asked, check.timeout, done);
  }
};

struct Files {
  static std::size_t of(const std::string& host, const io::Via& via) {
    const auto& name = via.host.empty() ? host : via.host;
    return !via.unix_socket.empty() || !io::numeric_addresses(name).empty() ? 1 : 2;  // two addresses race
  }
  std::size_t operator()(const HttpCheck& check) const {
    // A redirect may lead to a name even where the URL has a number.
    const auto start = check.request.url.find("://") + 3;
    const auto end = std::min(check.request.url.find_first_of("/?#", start), check.request.url.size());
    auto host = check.request.url.substr(start, end - start);
    host = host.substr(host.rfind('@') == std::string::npos ? 0 : host.rfind('@') + 1);
    const auto address = io::parse_host_port(host);
    return of(address ? address->host : host, check.request.via);
  }
  std::size_t operator()(const TcpCheck& check) const { return of(check.target.host, check.target.via); }
  std::size_t operator()(const TlsCheck& check) const { return of(check.target.tcp.host, check.target.tcp.via); }
  std::size_t operator()(const PostgresCheck&) const { return 3; }
  std::size_t operator()(const RedisCheck& check) const { return of(check.target.tcp.host, check.target.tcp.via); }
  std::size_t operator()(const CommandCheck&) const { return 6; }
  std::size_t operator()(const AskedCheck&) const { return 6; }
};

}  // namespace

Network::Network(std::size_t lookups, io::Resolver::Lookup lookup, const Limits& the_limits)
    : resolver{loop, lookups, lookup ? std::move(lookup) : io::Resolver::Lookup{io::Resolver::system_lookup}},
      limits{the_limits} {}

io::HttpProber& Network::http() {
  if (!http_) http_.emplace(loop, resolver, stores);
  return *http_;
}

std::unique_ptr<io::Probe> start_attempt(Network& network, const Check& check, std::function<void(Answer)> done) {
  return std::visit(Starter{network, check, std::move(done)}, check.what);
}

std::size_t files_of(const Check& check) { return std::visit(Files{}, check.what); }

}  // namespace codops::health
