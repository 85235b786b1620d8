#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <set>

#include "lib/compose/keys.hpp"
#include "lib/compose/normalise.hpp"

namespace codops::compose {

using text::Node;

namespace {

class Checker {
 public:
  Checker(const Node& root, const std::vector<std::string>& disabled, text::Problems& problems) : root_{root}, disabled_{disabled}, problems_{problems} {}

  void run() {
    for (const auto* section : {"networks", "volumes", "secrets", "configs"}) resources(section);
    const auto* services = root_.find("services");
    if (!services) return;
    for (const auto& entry : services->entries) service(entry);
    cycles(*services);
  }

 private:
  static std::vector<std::string> names_in(const Node* section) {
    std::vector<std::string> names;
    for (const auto& entry : section ? section->entries : std::vector<text::Entry>{}) names.push_back(entry.key);
    return names;
  }

  void known(const text::Position& at, const std::string& service, std::string_view what, std::string_view section,
             const std::string& name) {
    const auto* all = root_.find(section);
    if (all && all->entry(name)) return;
    if (section == "networks" && name == "default") return;
    if (section == "services" && std::find(disabled_.begin(), disabled_.end(), name) != disabled_.end()) {
      problems_.add(at, fmt::format("service \"{}\" needs the {} \"{}\", whose profile is off", service, what, name),
                    "turn the profile on (COMPOSE_PROFILES), or write required: false here");
      return;
    }
    const auto near = nearest(name, names_in(all));
    problems_.add(at, fmt::format("service \"{}\" names the {} \"{}\", which is not in {}", service, what, name, section),
                  near.empty() ? fmt::format("add {} to {}, or remove it here", name, section) : fmt::format("write {}", near));
  }

  static const Node& at_path(const Node& from, std::initializer_list<std::string_view> path) {
    static const Node none;
    const auto* node = &from;
    for (const auto step : path) {
      node = node->find(step);
      if (!node) return none;
    }
    return *node;
  }

  static double number(const Node& node) {
    if (node.kind == Node::Kind::real) return node.real;
    return static_cast<double>(node.magnitude) * (node.negative ? -1 : 1);
  }

  void references(const std::string& name, const Node& service) {
    for (const auto& network : at_path(service, {"networks"}).entries) known(network.at, name, "network", "networks", network.key);
    for (const auto& mount : at_path(service, {"volumes"}).items) {
      const auto* source = mount.find("source");
      if (at_path(mount, {"type"}).text == "volume" && source) known(mount.at, name, "volume", "volumes", source->text);
    }
    for (const auto& secret : at_path(service, {"secrets"}).items)
      known(secret.at, name, "secret", "secrets", at_path(secret, {"source"}).text);
    for (const auto& config : at_path(service, {"configs"}).items)
      known(config.at, name, "config", "configs", at_path(config, {"source"}).text);
    for (const auto& secret : at_path(service, {"build", "secrets"}).items)
      known(secret.at, name, "secret", "secrets", at_path(secret, {"source"}).text);
    for (const auto& dependency : at_path(service, {"depends_on"}).entries) {
      const auto* required = dependency.value.find("required");
      if (!required || required->boolean) known(dependency.at, name, "service", "services", dependency.key);
      if (!dependency.value.find("condition"))
        problems_.add(dependency.at, fmt::format("services.{}.depends_on.{} has no \"condition\"", name, dependency.key),
                      "service_started, service_healthy or service_completed_successfully");
    }
  }

  void both(const std::string& name, const Node& service, std::string_view old_key,
            std::initializer_list<std::string_view> path, std::string_view shown) {
    const auto* old = service.find(old_key);
    const auto& now = at_path(service, path);
    if (!old || (now.is_null() && old_key != "pids_limit") || number(*old) == 0) return;
    if (now.is_null() && at_path(service, {"deploy", "resources", "limits"}).is_null()) return;
    if (number(*old) != number(now))
      problems_.add(old->at, fmt::format("services.{}.{} and {} differ", name, old_key, shown), "keep one of them");
  }

  void service(const text::Entry& entry) {
    const auto& [name, at, definition] = entry;
    if (!definition.is_mapping()) {
      problems_.add(at, fmt::format("services.{} is empty", name), "give it an image or a build");
      return;
    }
    const auto* image = definition.find("image");
    if (!definition.find("build") && (!image || image->text.empty()))
      problems_.add(at, fmt::format("service \"{}\" has neither an image nor a build", name));
    references(name, definition);
    if (!at_path(definition, {"network_mode"}).text.empty() && !at_path(definition, {"networks"}).entries.empty())
      problems_.add(definition.entry("networks")->at, fmt::format("service \"{}\" has network_mode and networks", name), "keep one of them");
    const auto& build = at_path(definition, {"build"});
    if (build.find("dockerfile") && build.find("dockerfile_inline"))
      problems_.add(build.at, fmt::format("services.{}.build has dockerfile and dockerfile_inline", name), "keep one of them");
    both(name, definition, "scale", {"deploy", "replicas"}, "deploy.replicas");
    both(name, definition, "cpus", {"deploy", "resources", "limits", "cpus"}, "deploy.resources.limits.cpus");
    both(name, definition, "mem_limit", {"deploy", "resources", "limits", "memory"}, "deploy.resources.limits.memory");
    both(name, definition, "mem_reservation", {"deploy", "resources", "reservations", "memory"}, "deploy.resources.reservations.memory");
    both(name, definition, "pids_limit", {"deploy", "resources", "limits", "pids"}, "deploy.resources.limits.pids");
    const auto* fixed = definition.find("container_name");
    const auto count = std::max(number(at_path(definition, {"scale"})), number(at_path(definition, {"deploy", "replicas"})));
    if (fixed && !fixed->text.empty() && count > 1)
      problems_.add(fixed->at, fmt::format("service \"{}\" has a container_name and {} containers", name, count),
                    "remove container_name, or run one");
    choices(name, definition);
  }

  static bool is_restart(std::string_view text) {
    constexpr std::string_view counted = "on-failure:";
    if (!text.starts_with(counted)) return text.empty() || text == "no" || text == "always" || text == "unless-stopped" || text == "on-failure";
    const auto times = text.substr(counted.size());
    return !times.empty() && times.find_first_not_of("0123456789") == std::string_view::npos;
  }

  void choices(const std::string& name, const Node& service) {
    const auto one_of = [&](std::initializer_list<std::string_view> path, std::vector<std::string> allowed) {
      const auto& node = at_path(service, path);
      if (node.is_null() || std::find(allowed.begin(), allowed.end(), node.text) != allowed.end()) return;
      std::string where = name, list;
      for (const auto step : path) where += "." + std::string{step};
      for (const auto& word : allowed) list += (list.empty() ? "" : ", ") + word;
      problems_.add(node.at, fmt::format("services.{} is \"{}\"", where, node.text), "one of " + list);
    };
    one_of({"pull_policy"}, {"always", "never", "if_not_present", "build", "missing"});
    one_of({"cgroup"}, {"host", "private"});
    if (const auto& restart = at_path(service, {"restart"}); !restart.is_null() && !is_restart(restart.text))
      problems_.add(restart.at, fmt::format("services.{}.restart is \"{}\"", name, restart.text), "one of no, always, unless-stopped, on-failure, on-failure:TIMES");
    one_of({"deploy", "update_config", "order"}, {"start-first", "stop-first"});
    one_of({"deploy", "rollback_config", "order"}, {"start-first", "stop-first"});
    const auto within = [&](std::string_view key, double least, double most) {
      const auto& node = at_path(service, {key});
      if (!node.is_null() && (number(node) < least || number(node) > most))
        problems_.add(node.at, fmt::format("services.{}.{} is not between {} and {}", name, key, least, most));
    };
    within("oom_score_adj", -1000, 1000);
    within("cpu_percent", 0, 100);
    within("cpu_count", 0, 1e9);
    for (const auto& watch : at_path(service, {"develop", "watch"}).items) {
      static constexpr auto actions = std::to_array<std::string_view>({"rebuild", "sync", "restart", "sync+restart", "sync+exec"});
      const auto& action = at_path(watch, {"action"}).text;
      if (std::find(actions.begin(), actions.end(), action) == actions.end())
        problems_.add(watch.at, fmt::format("services.{}.develop.watch has the unknown action \"{}\"", name, action));
    }
  }

  void resources(std::string_view section) {
    const auto* all = root_.find(section);
    if (!all) return;
    for (const auto& [name, at, resource] : all->entries) {
      if (!resource.is_mapping()) continue;
      const auto* external = resource.find("external");
      const bool outside = external && (external->is_mapping() || external->boolean);
      if (section == "volumes" && outside) {
        for (const auto& entry : resource.entries) {
          if (entry.key != "external" && entry.key != "name" && !entry.key.starts_with("x-"))
            problems_.add(entry.at, fmt::format("volumes.{} is external and has {}", name, entry.key), "keep one of them");
        }
      }
      if (outside || (section != "secrets" && section != "configs")) continue;
      int sources = 0;
      for (const auto* source : {"file", "environment", "content"}) sources += resource.find(source) ? 1 : 0;
      if (sources == 0 && !resource.find("driver"))
        problems_.add(at, fmt::format("{}.{} has no content", section, name),
                      section == "secrets" ? "give it file, environment or external" : "give it file, environment, content or external");
      if (sources > 1) problems_.add(at, fmt::format("{}.{} has more than one content", section, name), "keep one of them");
    }
  }

  void cycles(const Node& services) {
    std::set<std::string> done;
    std::vector<std::string> path;
    const std::function<bool(const std::string&)> visit = [&](const std::string& name) {
      if (done.contains(name)) return true;
      path.push_back(name);
      if (std::find(path.begin(), path.end() - 1, name) != path.end() - 1) return false;
      if (const auto* service = services.find(name)) {
        for (const auto& dependency : at_path(*service, {"depends_on"}).entries) {
          if (!visit(dependency.key)) return false;
        }
      }
      path.pop_back();
      done.insert(name);
      return true;
    };
    for (const auto& entry : services.entries) {
      path.clear();
      if (visit(entry.key)) continue;
      const auto from = std::find(path.begin(), path.end(), path.back());
      std::string shown;
      for (auto step = from; step != path.end(); ++step) shown += (shown.empty() ? "" : " → ") + *step;
      problems_.add(services.entry(path.back())->at, fmt::format("services depend on one another in a circle: {}", shown),
                    "remove one of these depends_on");
      return;
    }
  }

  const Node& root_;
  const std::vector<std::string>& disabled_;
  text::Problems& problems_;
};

}  // namespace

void check(const Node& root, const std::vector<std::string>& disabled, text::Problems& problems) { Checker{root, disabled, problems}.run(); }

}  // namespace codops::compose
