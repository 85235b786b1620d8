#include "lib/health/check.hpp"

#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>

#include "lib/base/units.hpp"
#include "lib/health/verdict.hpp"
#include "lib/io/shown_word.hpp"

namespace codops::health {
namespace {

Check asked(std::string name, std::string kind, std::string target, std::function<Finding(const Limits&)> ask) {
  Check check;
  check.name = std::move(name);
  check.what = AskedCheck{std::move(kind), std::move(target), std::move(ask)};
  return check;
}

struct Describe {
  std::pair<std::string, std::string> operator()(const HttpCheck& check) const {
    return {"http", io::shown_url(check.request.url)};
  }
  std::pair<std::string, std::string> operator()(const TcpCheck& check) const { return {"tcp", to_string(check.target)}; }
  std::pair<std::string, std::string> operator()(const TlsCheck& check) const { return {"tls", to_string(check.target.tcp)}; }
  std::pair<std::string, std::string> operator()(const PostgresCheck& check) const { return {"postgres", check.target.describe()}; }
  std::pair<std::string, std::string> operator()(const RedisCheck& check) const { return {"redis", to_string(check.target)}; }
  // Arguments may carry what nobody should see.
  std::pair<std::string, std::string> operator()(const CommandCheck& check) const { return {"command", check.argv.empty() ? std::string{} : io::shown_word(check.argv.front())}; }
  std::pair<std::string, std::string> operator()(const AskedCheck& check) const { return {check.kind, check.target}; }
};

}  // namespace

std::string kind_of(const Check& check) { return std::visit(Describe{}, check.what).first; }
std::string target_of(const Check& check) { return std::visit(Describe{}, check.what).second; }

Check container_check(std::string name, ListContainers list, bool one_shot) {
  return asked(name, "container", io::shown_word(name), [name, one_shot, list = std::move(list)](const Limits& limits) {
    const auto all = list(limits);
    std::optional<Finding> out;
    for (const auto* container : chosen_containers(all, name)) {
      auto finding = one_shot && container->completed ? Finding{} : judge_container(name, container);
      out = out ? worse(std::move(*out), std::move(finding)) : std::move(finding);
    }
    return out ? *out : judge_container(name, nullptr);
  });
}

Check disk_check(std::string path, DiskLimits thresholds) {
  return asked("disk " + path, "disk", io::shown_word(path), [path, thresholds](const Limits&) -> Finding {
    struct statvfs facts {};
    if (::statvfs(path.c_str(), &facts) != 0) {
      return {Status::unknown, io::Stage::request, "cannot look at " + io::shown_word(path) + ": " + std::strerror(errno), "check the path", {}};
    }
    return judge_disk(path, facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize, thresholds);
  });
}

Check backup_check(std::string name, BackupAge age, Milliseconds warn_after, Milliseconds fail_after) {
  return asked(name, "backup", "the newest verified backup", [age = std::move(age), warn_after, fail_after](const Limits& limits) -> Finding {
    const auto newest = age(limits);
    if (!newest) return {Status::fail, io::Stage::body, "there is no verified backup", "take one: codops backup ENV", {}};
    Finding out;
    const auto seconds = [](Milliseconds value) { return static_cast<double>(value.count()) / 1000.0; };
    out.metrics.push_back({"age", seconds(*newest), "s", seconds(warn_after), seconds(fail_after), 0, std::nullopt});
    if (*newest < std::min(warn_after, fail_after)) return out;
    out.status = *newest < fail_after ? Status::warn : Status::fail;
    out.stage = io::Stage::body;
    out.message = "the newest verified backup is from " + format_age(*newest);
    out.hint = "take one: codops backup ENV";
    return out;
  });
}

Check command_check(std::string name, std::vector<std::string> argv) {
  Check check;
  check.name = std::move(name);
  check.what = CommandCheck{std::move(argv)};
  return check;
}

Check workload_check(std::string name, AskWorkload ask) {
  return asked(name, "workload", io::shown_word(name), [ask = std::move(ask)](const Limits& limits) { return judge_workload(ask(limits)); });
}

}  // namespace codops::health
