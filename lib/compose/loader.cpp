#include "lib/compose/loader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "lib/compose/merge.hpp"
#include "lib/compose/scalars.hpp"
#include "lib/text/yaml.hpp"

namespace codops::compose {

namespace fs = std::filesystem;
using text::failure_at;
using text::Node;

namespace {

const Key& service_key() { return *keys().find("services")->find("*"); }

// Whether two definitions say the same, wherever they were written.
bool same(const Node& a, const Node& b) {
  if (a.kind != b.kind || a.text != b.text || a.items.size() != b.items.size() || a.entries.size() != b.entries.size())
    return false;
  for (std::size_t index = 0; index < a.items.size(); ++index) {
    if (!same(a.items[index], b.items[index])) return false;
  }
  return std::all_of(a.entries.begin(), a.entries.end(), [&](const text::Entry& entry) {
    const auto* other = b.find(entry.key);
    return other && same(entry.value, *other);
  });
}

std::vector<Node> as_list(const Node* node) {
  if (!node || node->is_null()) return {};
  if (node->is_sequence()) return node->items;
  return {*node};
}

}  // namespace

std::string shown_path(const std::string& path) {
  std::error_code error;
  const auto relative = fs::path{path}.lexically_relative(fs::current_path(error));
  return error || relative.empty() || *relative.begin() == ".." ? path : relative.string();
}

const std::vector<Node>& Loader::documents(const std::string& path) {
  auto found = parsed_.find(path);
  if (found == parsed_.end()) {
    auto parsed = text::parse_yaml_documents(read_whole(path, "the compose file"), shown_path(path));
    std::erase_if(parsed, [](const Node& document) { return document.is_null(); });
    found = parsed_.emplace(path, std::move(parsed)).first;
  }
  return found->second;
}

Node Loader::interpolated(Node document, const Variables& variables) {
  const text::Lookup lookup = [this, find = lookup_in(variables)](std::string_view name) {
    used_.emplace(name);
    return find(name);
  };
  const auto replace = [&](const Node& node) {
    return text::interpolate(node.text, lookup, [&](std::string_view name) {
      warnings_.push_back(
          fmt::format("{}: the variable \"{}\" is not set, it is replaced by nothing", node.at.text(), name));
    });
  };
  interpolate_tree(document, replace, problems_);
  return document;
}

Node Loader::files(const std::vector<std::string>& paths, const std::string& base, const Variables& variables) {
  const Place place{base, home_};
  Node merged;
  for (const auto& path : paths) {
    for (const auto& written : documents(path)) {
      auto tree = document(interpolated(written, variables), path, place, variables);
      if (merged.is_null()) {
        drop_resets(tree);
        merged = std::move(tree);
      } else {
        merge(merged, std::move(tree), keys());
      }
    }
  }
  keep_unique(merged, keys());
  return merged;
}

Node Loader::document(Node tree, const std::string& path, const Place& place, const Variables& variables) {
  if (!tree.is_mapping()) wrong_kind(tree, "", "a mapping");
  if (const auto* version = tree.entry("version"))
    warnings_.push_back(fmt::format("{}: \"version\" is obsolete and has no effect", version->at.text()));
  tree.erase("version");
  const auto include = tree.find("include") ? *tree.find("include") : Node{};
  tree.erase("include");
  Canonical{place, problems_, warnings_}.file(tree);
  extend_all(tree, path, place, variables);
  if (!include.is_null()) {
    tree.set("include", include);
    including_.push_back(path);
    include_all(tree, place, variables);
    including_.pop_back();
    tree.erase("include");
  }
  return tree;
}

void Loader::extend_all(Node& root, const std::string& path, const Place& place, const Variables& variables) {
  auto* services = root.find("services");
  if (!services || !services->is_mapping()) return;
  auto done = *services;
  for (auto& entry : done.entries) {
    if (!entry.value.find("extends")) continue;
    std::vector<Reference> chain;
    try {
      entry.value = extended(*services, entry.key, path, place, variables, chain);
    } catch (const Failure& failure) {
      problems_.add(failure);
      entry.value.erase("extends");
    }
  }
  *services = std::move(done);
}

Node Loader::extended(const Node& services, const std::string& name, const std::string& path, const Place& place,
                      const Variables& variables, std::vector<Reference>& chain) {
  auto service = *services.find(name);
  const auto* extends = service.find("extends");
  if (!extends) return service;
  const Reference reference{path, name};
  if (std::find(chain.begin(), chain.end(), reference) != chain.end())
    throw failure_at(extends->at, fmt::format("service \"{}\" extends itself", name));
  chain.push_back(reference);
  auto base = base_service(*extends, services, name, path, place, variables, chain);
  chain.pop_back();
  service.erase("extends");
  merge(base, std::move(service), service_key());
  keep_unique(base, service_key());
  return base;
}

Node Loader::base_service(const Node& extends, const Node& services, const std::string& name, const std::string& path,
                          const Place& place, const Variables& variables, std::vector<Reference>& chain) {
  static constexpr auto known = std::to_array<std::string_view>({"service", "file"});
  for (const auto& entry : extends.entries) {
    if (std::find(known.begin(), known.end(), entry.key) == known.end())
      problems_.unknown_key(entry.at, entry.key, fmt::format("services.{}.extends", name), known);
  }
  const auto* wanted = extends.is_string() ? &extends : extends.find("service");
  if (!wanted || !wanted->is_string())
    throw failure_at(extends.at, fmt::format("services.{}.extends names no service", name), "write extends: {service: NAME}");
  const auto missing = [&](const Node* all, const std::string& where) {
    std::vector<std::string> names;
    for (const auto& entry : all ? all->entries : std::vector<text::Entry>{}) names.push_back(entry.key);
    const auto near = nearest(wanted->text, names);
    return failure_at(wanted->at, fmt::format("service \"{}\" extends \"{}\", which {} does not have", name, wanted->text, where),
                      near.empty() ? "" : fmt::format("write {}", near));
  };
  const auto* file = extends.find("file");
  if (!file) {
    if (!services.find(wanted->text)) throw missing(&services, "this file");
    auto base = extended(services, wanted->text, path, place, variables, chain);
    if (base.is_null()) base = Node::make_mapping(extends.at);
    return base;
  }
  if (!file->is_string()) wrong_kind(*file, fmt::format("services.{}.extends.file", name), "text");

  const auto other = absolute_path(file->text, place);
  const Place other_place{fs::path{other}.parent_path().string(), home_};
  std::error_code error;
  if (!fs::exists(other, error))
    throw failure_at(file->at, fmt::format("service \"{}\" extends the file \"{}\", which does not exist", name, file->text));
  for (const auto& written : documents(other)) {
    auto tree = interpolated(written, variables);
    auto* others = tree.find("services");
    if (!others || !others->find(wanted->text)) continue;
    // Only what is used is looked at: a base file may hold fragments that are no whole services.
    for (const auto* next = wanted; next;) {
      auto* service = others->find(next->text);
      if (!service || service->tag == "codops:canonical") break;
      Canonical{other_place, problems_, warnings_}.value(*service, service_key(), "services." + next->text);
      service->tag = "codops:canonical";
      const auto* further = service->find("extends");
      next = !further || further->find("file") ? nullptr : further->is_string() ? further : further->find("service");
    }
    auto base = extended(*others, wanted->text, other, other_place, variables, chain);
    base.tag.clear();
    drop_resets(base);
    return base;
  }
  const auto& all = documents(other);
  throw missing(all.empty() ? nullptr : all.front().find("services"), fmt::format("\"{}\"", file->text));
}

void Loader::include_all(Node& root, const Place& place, const Variables& variables) {
  const auto include = *root.find("include");
  if (!include.is_sequence()) wrong_kind(include, "include", "a list");
  for (const auto& entry : include.items) {
    try {
      static constexpr auto known = std::to_array<std::string_view>({"path", "env_file", "project_directory"});
      for (const auto& [key, at, value] : entry.entries) {
        if (std::find(known.begin(), known.end(), key) == known.end()) problems_.unknown_key(at, key, "include", known);
      }
      std::vector<std::string> paths;
      for (const auto& path : entry.is_string() ? std::vector<Node>{entry} : as_list(entry.find("path"))) {
        if (!path.is_string()) wrong_kind(path, "include", "a path");
        paths.push_back(absolute_path(path.text, place));
        std::error_code error;
        if (!fs::is_regular_file(paths.back(), error))
          throw failure_at(path.at, fmt::format("the included file \"{}\" does not exist", path.text));
      }
      if (paths.empty()) throw failure_at(entry.at, "an entry of include has no path");
      if (std::find(including_.begin(), including_.end(), paths.front()) != including_.end())
        throw failure_at(entry.at, fmt::format("\"{}\" includes itself", shown_path(paths.front())));

      const auto* directory = entry.find("project_directory");
      const auto base = directory && directory->is_string() ? absolute_path(directory->text, place)
                                                            : fs::path{paths.front()}.parent_path().string();
      std::vector<std::string> env_files;
      for (const auto& file : as_list(entry.find("env_file"))) env_files.push_back(absolute_path(file.text, place));
      std::error_code error;
      if (env_files.empty() && fs::is_regular_file(base + "/.env", error)) env_files.push_back(base + "/.env");
      import(root, files(paths, base, with_env_files(variables, env_files, warnings_)));
    } catch (const Failure& failure) {
      problems_.add(failure);
    }
  }
}

void Loader::import(Node& root, Node included) {
  for (const auto* section : {"services", "volumes", "networks", "secrets", "configs"}) {
    auto* from = included.find(section);
    if (!from || !from->is_mapping()) continue;
    if (!root.find(section)) root.set(section, Node::make_mapping(from->at));
    auto& into = *root.find(section);
    for (auto& entry : from->entries) {
      const auto* there = into.find(entry.key);
      if (!there) {
        into.entries.push_back(std::move(entry));
      } else if (!same(*there, entry.value)) {
        problems_.add(into.entry(entry.key)->at,
                      fmt::format("{}.{} is in an included file too, in {}", section, entry.key, entry.at.text()),
                      "rename one of them, or list an overriding file in include's path");
      }
    }
  }
}

std::string Loader::name_in(const std::vector<std::string>& paths, const Variables& variables) {
  std::string name;
  for (const auto& path : paths) {
    for (const auto& document : documents(path)) {
      const auto* written = document.find("name");
      if (!written || !written->is_string()) continue;
      try {
        name = text::interpolate(written->text, lookup_in(variables));
      } catch (const Failure&) {
        // Reported with its position when the file itself is interpolated.
      }
    }
  }
  return name;
}

}  // namespace codops::compose
