#include <fmt/format.h>

#include <array>

#include "lib/io/shown_word.hpp"
#include "lib/settings/read_environment.hpp"

namespace codops::settings {
namespace {

class Checker {
 public:
  explicit Checker(const Values& values) : values_{values} {}

  std::vector<Problem> run() {
    needs("proxy.service", "proxy.upstreams", "the directory that nginx.conf includes inside http {}");
    needs("proxy.upstreams", "proxy.service", "the service at the front");
    absolute("proxy.upstreams", "it is inside the proxy's container");
    between("keep_releases", 1, 1000);
    between("backup.jobs", 1, 64);
    between("backup.compression", 1, 19);
    between("backup.retention.keep_min", 1, 100'000);
    between("health.concurrency", 1, 10'000);
    front_door();
    store();
    formats();
    for (const auto* list : {"hooks.pre_deploy", "hooks.post_deploy", "hooks.on_failure", "setup_dev.generate",
                             "setup_dev.seed"}) {
      for (const auto& item : values_.items(list)) command(item);
    }
    for (const auto& item : values_.items("notify")) notification(item);
    for (const auto& name : values_.names("health.checks")) health_check("health.checks." + escape_name(name));
    return std::move(problems_);
  }

 private:
  void add(const std::string& path, std::string message, std::string hint = {}) {
    const auto* value = values_.find(path);
    problems_.push_back({value != nullptr ? value->origin : Origin{}, std::move(message), std::move(hint)});
  }

  void needs(const std::string& path, const std::string& other, const std::string& what) {
    if (!values_.text(path).empty() && values_.text(other).empty()) {
      add(path, fmt::format("{} is set, {} is not", path, other), fmt::format("add {}: {}", other, what));
    }
  }

  void absolute(const std::string& path, const std::string& why) {
    const auto value = values_.text(path);
    if (!value.empty() && !value.starts_with('/')) {
      add(path, fmt::format("{} is an absolute path, not \"{}\"", path, io::shown_word(value)), why);
    }
  }

  void between(const std::string& path, std::int64_t low, std::int64_t high) {
    const auto value = values_.optional_integer(path);
    if (value && (*value < low || *value > high)) {
      add(path, fmt::format("{} is between {} and {}, not {}", path, low, high, *value));
    }
  }

  void front_door() {
    const auto url = values_.text("front_door.url");
    if (!url.empty() && !url.starts_with("http://") && !url.starts_with("https://")) {
      add("front_door.url", fmt::format("front_door.url is an http:// or https:// address, not \"{}\"", io::shown_word(url)));
    }
  }

  void store() {
    const auto store = values_.text("backup.store");
    if (!store.starts_with('/') && !store.starts_with("s3://")) {
      add("backup.store", fmt::format("backup.store is an absolute directory or s3://bucket/prefix, not \"{}\"", io::shown_word(store)));
    }
    if (store.starts_with("s3://") && store.find("//", 5) != std::string::npos) {
      add("backup.store", fmt::format("backup.store has an empty part in its prefix: \"{}\"", io::shown_word(store)), "servers differ in what they make of //");
    }
  }

  void formats() {
    for (const auto& format : values_.list("backup.formats")) {
      if (format != "custom" && format != "plain" && format != "directory") {
        add("backup.formats", fmt::format("backup.formats has \"{}\"", io::shown_word(format)), "custom, plain and directory are known");
      }
    }
  }

  void command(const std::string& item) {
    if (values_.list(item + ".run").empty()) {
      add(first_of(item), fmt::format("{} has no command", item), "add run: [\"program\", \"argument\"]");
    }
  }

  void notification(const std::string& item) {
    const auto type = values_.text(item + ".type");
    if (type.empty()) return add(first_of(item), fmt::format("{} has no type", item), "webhook, slack, pagerduty or email");
    if (type == "email") {
      if (values_.list(item + ".to").empty()) add(item + ".type", fmt::format("{} has no \"to\"", item));
      if (values_.text(item + ".smtp").empty()) add(item + ".type", fmt::format("{} has no \"smtp\"", item));
    } else if (values_.text(item + ".url").empty() && values_.text(item + ".url_variable").empty()) {
      add(item + ".type", fmt::format("{} has no url_variable", item), "name the variable that has the URL or key");
    }
  }

  void health_check(const std::string& path) {
    constexpr std::array<std::string_view, 10> kinds{"url",       "tcp",      "tls",  "postgres",   "redis",
                                                     "container", "workload", "disk", "backup_age", "command"};
    between(path + ".retries", 0, 1000);
    between(path + ".success_threshold", 1, 1000);
    between(path + ".failure_threshold", 1, 1000);
    std::vector<std::string> set;
    for (const auto kind : kinds) {
      if (values_.has(fmt::format("{}.{}", path, kind))) set.emplace_back(kind);
    }
    if (set.empty()) {
      add(first_of(path), fmt::format("{} says nothing to check", path), "add url, tcp, postgres, redis, …");
    } else if (set.size() > 1) {
      add(path + "." + set[1], fmt::format("{} has both {} and {}", path, set[0], set[1]), "make them two checks");
    }
  }

  // Any value that was written below `path`, for its place in the file.
  std::string first_of(const std::string& path) const {
    for (const auto& [name, value] : values_.all()) {
      if (name.starts_with(path + ".") && value.origin.kind != Origin::Kind::built_in) return name;
    }
    return path;
  }

  const Values& values_;
  std::vector<Problem> problems_;
};

}  // namespace

std::vector<Problem> check_environment(const Values& values) { return Checker{values}.run(); }

}  // namespace codops::settings
