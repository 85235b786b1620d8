#include "lib/compose/normalise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "lib/compose/canonical.hpp"
#include "lib/compose/loader.hpp"
#include "lib/text/utf8.hpp"

namespace codops::compose {

using text::Node;

namespace {


std::string string_at(const Node& node, std::string_view key) {
  const auto* found = node.find(key);
  return found && found->is_string() ? found->text : std::string{};
}

bool true_at(const Node& node, std::string_view key) {
  const auto* found = node.find(key);
  return found && found->boolean;
}

bool is_enabled(const Node& service, const std::vector<std::string>& active) {
  const auto* profiles = service.find("profiles");
  if (!profiles || profiles->items.empty()) return true;
  return std::any_of(profiles->items.begin(), profiles->items.end(), [&](const Node& profile) {
    return std::any_of(active.begin(), active.end(), [&](const auto& name) { return name == "*" || name == profile.text; });
  });
}

void resolve_from_outside(Node* mapping, const Variables& variables) {
  if (!mapping) return;
  for (auto& [name, at, value] : mapping->entries) {
    if (!value.is_null()) continue;
    if (const auto found = variables.find(name); found != variables.end()) value = Node::make_string(found->second, at);
  }
}

// env_file and label_file: what the mapping itself says wins.
void add_from_file(Node& service, const char* section, const std::string& path, const Node& entry, Node& gathered,
                   Normalising& with) {
  const auto* required = entry.find("required");
  std::error_code error;
  const auto to_be = with.files_to_be.find(std::filesystem::path{path}.lexically_normal().string());
  const bool will_be = to_be != with.files_to_be.end();
  if (required && !required->boolean && !will_be && !std::filesystem::exists(path, error)) return;
  try {
    const text::Lookup lookup = [&](std::string_view name) -> std::optional<std::string> {
      if (auto found = lookup_in(with.variables)(name)) return found;
      const auto* above = gathered.find(name);  // of the files before this one
      return above ? std::optional{above->text} : std::nullopt;
    };
    const auto content = will_be ? to_be->second : read_whole(path, "the environment file");
    const auto on_unset = [&](std::string_view name) {
      with.warnings.push_back(
          fmt::format("{}: the variable \"{}\" is not set, it is replaced by nothing", shown_path(path), name));
    };
    const auto lines = string_at(entry, "format") == "raw" ? text::parse_raw_dotenv(content, shown_path(path), lookup)
                                                         : text::parse_dotenv(content, shown_path(path), lookup, on_unset);
    if (lines.empty()) return;
    if (!service.find(section)) service.set(section, Node::make_mapping(entry.at));
    for (const auto& line : lines) {
      if (line.value && text::invalid_utf8(*line.value)) with.problems.add(line.at, fmt::format("the value of {} is not UTF-8", line.name), "save the file as UTF-8");
      else if (line.value) gathered.set(line.name, Node::make_string(*line.value, line.at));
    }
  } catch (const Failure& failure) {
    const auto& message = failure.message();
    if (message.starts_with("the ")) {
      with.problems.add(entry.at, message, failure.hint());
    } else {
      with.problems.add(failure);
    }
  }
}

void gather(Node& service, const char* list, const char* section, Normalising& with) {
  auto gathered = Node::make_mapping(service.at);
  if (const auto* files = service.find(list)) {
    const auto entries = files->items;
    for (const auto& entry : entries) {
      const auto path = entry.is_mapping() ? string_at(entry, "path") : entry.text;
      add_from_file(service, section, path, entry, gathered, with);
    }
  }
  service.erase(list);
  auto* own = service.find(section);
  if (!own) return;
  for (auto& entry : own->entries) gathered.set(entry.key, entry.value);
  *own = std::move(gathered);
}

void imply_dependency(Node& service, const std::string& on, bool restart) {
  if (!service.find("depends_on")) service.set("depends_on", Node::make_mapping(service.at));
  auto& all = *service.find("depends_on");
  if (all.find(on)) return;
  auto dependency = Node::make_mapping(service.at);
  dependency.set("condition", Node::make_string("service_started", service.at));
  if (restart) dependency.set("restart", Node::make_boolean(true, service.at));
  dependency.set("required", Node::make_boolean(true, service.at));
  all.set(on, std::move(dependency));
}

void imply_dependencies(Node& service) {
  static constexpr std::string_view prefix = "service:";
  if (const auto* links = service.find("links")) {
    const auto items = links->items;
    for (const auto& link : items) imply_dependency(service, link.text.substr(0, link.text.find(':')), true);
  }
  for (const auto* key : {"network_mode", "ipc", "pid", "uts", "cgroup"}) {
    if (const auto other = string_at(service, key); other.starts_with(prefix))
      imply_dependency(service, other.substr(prefix.size()), true);
  }
  if (const auto* from = service.find("volumes_from")) {
    const auto items = from->items;
    for (const auto& other : items) {
      if (!other.text.starts_with("container:"))
        imply_dependency(service, other.text.substr(0, other.text.find(':')), false);
    }
  }
}

void normalise_service(Node& service, Normalising& with) {
  if (auto* build = service.find("build"); build && build->is_mapping()) {
    if (!build->find("context")) build->set("context", Node::make_string(with.base, build->at));
    if (!build->find("dockerfile") && !build->find("dockerfile_inline"))
      build->set("dockerfile", Node::make_string("Dockerfile", build->at));
    resolve_from_outside(build->find("args"), with.variables);
  }
  resolve_from_outside(service.find("environment"), with.variables);
  gather(service, "env_file", "environment", with);
  auto* labels = service.find("label_file");
  if (labels) gather(service, "label_file", "labels", with);
  if (string_at(service, "pull_policy") == "if_not_present") service.find("pull_policy")->text = "missing";
  const auto* networks = service.find("networks");
  if ((!networks || networks->entries.empty()) && string_at(service, "network_mode").empty()) {
    auto attached = Node::make_mapping(service.at);
    attached.set("default", Node{});
    service.set("networks", std::move(attached));
  }
  imply_dependencies(service);
  if (auto* deploy = service.find("deploy"); deploy && deploy->is_mapping()) {
    for (const auto* part : {"resources", "placement"}) {
      if (!deploy->find(part)) deploy->set(part, Node::make_mapping(deploy->at));
    }
    if (const auto* scale = service.find("scale"); scale && !deploy->find("replicas")) deploy->set("replicas", *scale);
  }
  if (auto* secrets = service.find("secrets")) {
    for (auto& secret : secrets->items) {
      if (!secret.find("target")) secret.set("target", Node::make_string("/run/secrets/" + string_at(secret, "source"), secret.at));
    }
  }
  if (auto* develop = service.find("develop"); develop && develop->find("watch")) {
    for (auto& watch : develop->find("watch")->items) {
      if (!watch.find("exec")) watch.set("exec", Node::make_mapping(watch.at));
      if (!watch.find("exec")->find("command")) watch.find("exec")->set("command", Node{});
    }
  }
  for (const auto* key : {"command", "entrypoint"}) {
    if (!service.find(key)) service.set(key, Node{});
  }
}

// Names of a section's resources that the enabled services use.
std::set<std::string> used(const Node& services, std::string_view section) {
  std::set<std::string> names;
  for (const auto& [service, at, definition] : services.entries) {
    const auto* list = definition.find(section);
    if (list && section == "networks") {
      for (const auto& entry : list->entries) names.insert(entry.key);
    } else if (list) {
      for (const auto& item : list->items) {
        if (section != "volumes" || string_at(item, "type") == "volume") names.insert(string_at(item, "source"));
      }
    }
    if (section != "secrets") continue;
    const auto* build = definition.find("build");
    const auto* secrets = build ? build->find("secrets") : nullptr;
    if (!secrets) continue;
    for (const auto& item : secrets->items) names.insert(string_at(item, "source"));
  }
  return names;
}

void name_resource(const std::string& key, Node& resource, std::string_view section, Normalising& with) {
  if (resource.is_null()) resource = Node::make_mapping(resource.at);
  const auto* external = resource.find("external");
  if (external && external->is_mapping()) {
    const auto given = string_at(*external, "name");
    const auto at = external->at;
    if (!given.empty() && resource.find("name") && string_at(resource, "name") != given)
      with.problems.add(at, fmt::format("{}.{} has two names", section, key), "remove external.name");
    resource.set("external", Node::make_boolean(true, at));
    if (!given.empty()) resource.set("name", Node::make_string(given, at));
  }
  if (string_at(resource, "name").empty())
    resource.set("name", Node::make_string(true_at(resource, "external") ? key : with.project + "_" + key, resource.at));
  if (section == "networks" && !resource.find("ipam")) resource.set("ipam", Node::make_mapping(resource.at));
  // Docker compose makes the device of a bind volume absolute.
  auto* options = resource.find("driver_opts");
  if (section == "volumes" && options && string_at(resource, "driver") == "local" && string_at(*options, "o") == "bind") {
    if (auto* device = options->find("device"); device && !device->text.empty())
      device->text = absolute_path(device->text, {with.base, ""});
  }
}

void normalise_resources(Node& root, std::string_view section, Normalising& with) {
  const auto* services = root.find("services");
  const auto names = services ? used(*services, section) : std::set<std::string>{};
  if (!root.find(section) && section == "networks" && names.contains("default"))
    root.set("networks", Node::make_mapping(root.at));
  auto* all = root.find(section);
  if (!all || !all->is_mapping()) return;
  if (section == "networks" && names.contains("default") && !all->find("default")) all->set("default", Node{});
  for (auto& [key, at, resource] : all->entries) {
    name_resource(key, resource, section, with);
  }
  std::erase_if(all->entries, [&](const text::Entry& entry) { return !names.contains(entry.key) && !entry.key.starts_with("x-"); });
}

}  // namespace

void normalise(Node& root, Normalising& with) {
  root.erase("name");
  root.set("name", Node::make_string(with.project, root.at));
  if (auto* services = root.find("services"); services && services->is_mapping()) {
    std::erase_if(services->entries, [](const text::Entry& entry) { return entry.key.starts_with("x-"); });
    for (const auto& entry : services->entries) {
      if (!is_enabled(entry.value, with.profiles)) with.disabled.push_back(entry.key);
    }
    std::erase_if(services->entries, [&](const text::Entry& entry) { return !is_enabled(entry.value, with.profiles); });
    for (const auto& [name, image] : with.images) {
      auto* service = services->find(name);
      if (service && service->is_mapping()) service->set("image", Node::make_string(image, service->at));
    }
    for (auto& entry : services->entries) {
      if (!entry.value.is_mapping()) continue;
      normalise_service(entry.value, with);
    }
  }
}

void finish_resources(Node& root, Normalising& with) {
  for (const auto* section : {"networks", "volumes", "secrets", "configs"})
    normalise_resources(root, section, with);
}

}  // namespace codops::compose
