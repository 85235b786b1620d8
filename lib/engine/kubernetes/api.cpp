#include "lib/engine/kubernetes/api.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/parallel.hpp"
#include "lib/engine/json_fields.hpp"

namespace codops::engine::kubernetes {
namespace {

using nlohmann::json;

// The order of the parameters matters to servers.
constexpr const char* aggregated_discovery =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

constexpr int page_size = 250;

// Hands out the items of a list one by one while it is parsed; what is left is the list without them.
json parse_page(const std::string& body, const std::function<void(json&& item)>& each) {
  std::string top;
  return json::parse(
      body,
      [&](int depth, json::parse_event_t event, json& parsed) {
        if (event == json::parse_event_t::key && depth == 1) top = parsed.get<std::string>();
        if (event != json::parse_event_t::object_end || depth != 2 || top != "items") return true;
        each(std::move(parsed));
        return false;
      },
      false);
}

json delete_body(const DeleteOptions& options) {
  json body{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"propagationPolicy", options.propagation}};
  if (!options.uid.empty()) body["preconditions"] = {{"uid", options.uid}};
  if (options.grace_seconds) body["gracePeriodSeconds"] = *options.grace_seconds;
  if (options.dry_run) body["dryRun"] = {"All"};
  return body;
}

}  // namespace

Api::Api(Connection connection, ClientOptions options) : client_{std::move(connection), options} {}

std::string Api::version(const Limits& limits) {
  return text_at(client_.call_json({.path = "/version", .what = "ask for the version"}, limits), {"gitVersion"});
}

void Api::discover(const Limits& limits) {
  std::vector<Resource> found;
  stale_.clear();
  const auto ask = [&](const std::string& path) {
    return client_.call_json({.path = path, .accept = aggregated_discovery, .what = "ask for the kinds"}, limits);
  };
  const auto add = [&](const json& answer) {
    auto some = resources_in(answer, stale_);
    found.insert(found.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  };
  const auto core = ask("/api");
  if (text_at(core, {"kind"}) == "APIGroupDiscoveryList") {
    add(core);
    add(ask("/apis"));
  } else {
    // Before 1.26: one question for each group and version. A group whose server is away answers 503.
    add(ask("/api/v1"));
    const auto groups = ask("/apis");
    for (const auto& group : field(groups, {"groups"})) {
      for (const auto& version : field(group, {"versions"})) {
        const auto name = text_at(version, {"groupVersion"});
        try {
          add(ask("/apis/" + name));
        } catch (const ApiError&) {
          stale_.push_back(name);
        }
      }
    }
  }
  discovered_ = std::move(found);
}

void Api::rediscover() {
  const std::lock_guard lock{mutex_};
  discovered_.reset();
}

std::vector<Resource> Api::all_resources(const Limits& limits) {
  const std::lock_guard lock{mutex_};
  if (!discovered_) discover(limits);
  return *discovered_;
}

std::optional<Resource> Api::find_resource(const std::string& api_version, const std::string& kind, const Limits& limits) {
  if (auto known = well_known_resource(api_version, kind)) return known;
  for (auto& resource : all_resources(limits)) {
    if (resource.kind == kind && resource.api_version() == api_version) return resource;
  }
  return std::nullopt;
}

Resource Api::resource(const std::string& api_version, const std::string& kind, const Limits& limits) {
  if (auto found = find_resource(api_version, kind, limits)) return *std::move(found);
  std::vector<std::string> kinds;
  std::string elsewhere;
  for (const auto& resource : all_resources(limits)) {
    kinds.push_back(resource.kind);
    if (resource.kind == kind) elsewhere += (elsewhere.empty() ? "" : ", ") + resource.api_version();
  }
  std::string hint;
  if (!elsewhere.empty()) hint = fmt::format("it has {} in {}", kind, elsewhere);
  else if (const auto near = nearest(kind, kinds); !near.empty()) hint = fmt::format("did you mean {}?", near);
  else hint = "its CustomResourceDefinition has to be there first";
  const std::lock_guard lock{mutex_};
  if (!stale_.empty()) hint += fmt::format("; these groups do not answer now: {}", fmt::join(stale_, ", "));
  throw Failure{Exit::config, fmt::format("the cluster has no {} in {}", kind, api_version), hint};
}

std::string Api::path_of(const ObjectRef& object, const Limits& limits, std::string_view subresource) {
  const auto kind = resource(object.api_version, object.kind, limits);
  if (object.name.empty()) throw Failure{Exit::bug, fmt::format("{} without a name", object.text())};
  return kind.path(kind.namespaced && object.namespace_.empty() ? default_namespace() : object.namespace_, object.name, subresource);
}

std::optional<json> Api::find(const ObjectRef& object, const Limits& limits) {
  const auto response = client_.call({.path = path_of(object, limits), .what = "get " + object.text(), .expected = {404}}, limits);
  if (response.status == 404) return std::nullopt;
  return json::parse(response.body);
}

json Api::get(const ObjectRef& object, const Limits& limits) {
  return client_.call_json({.path = path_of(object, limits), .what = "get " + object.text()}, limits);
}

std::vector<json> Api::find_all(const std::vector<ObjectRef>& objects, const Limits& limits) {
  std::vector<json> found(objects.size());
  std::vector<std::exception_ptr> failures(objects.size());
  in_parallel(objects.size(), most_connections, [&](std::size_t i) {
    try {
      if (auto object = find(objects[i], limits)) found[i] = *std::move(object);
    } catch (...) {
      failures[i] = std::current_exception();
    }
  });
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return found;
}

std::string Api::list(const std::string& api_version, const std::string& kind, const std::string& namespace_,
                      const Selection& selection, const ObjectSink& each, const Limits& limits) {
  const auto wanted = resource(api_version, kind, limits);
  const auto what = fmt::format("list {}{}", wanted.plural, namespace_.empty() ? "" : " in " + namespace_);
  std::string next;
  for (;;) {
    Call call{.path = wanted.path(namespace_), .query = {{"limit", std::to_string(page_size)}}, .what = what, .expected = {410}};
    if (!selection.labels.empty()) call.query.emplace_back("labelSelector", selection.labels);
    if (!selection.fields.empty()) call.query.emplace_back("fieldSelector", selection.fields);
    if (!next.empty()) call.query.emplace_back("continue", next);
    const auto response = client_.call(call, limits);
    if (response.status == 410) {
      if (next.empty()) throw api_error(response.status, response.body, what);
      // The snapshot that the pages came from is no more: from the start.
      next.clear();
      continue;
    }
    const auto page = parse_page(response.body, [&](json&& item) {
      item["apiVersion"] = api_version;
      item["kind"] = kind;
      each(std::move(item));
    });
    if (page.is_discarded()) throw Failure{Exit::unavailable, fmt::format("{}: the answer is not JSON", what)};
    next = text_at(page, {"metadata", "continue"});
    if (next.empty()) return text_at(page, {"metadata", "resourceVersion"});
  }
}

std::vector<json> Api::list(const std::string& api_version, const std::string& kind, const std::string& namespace_,
                            const Selection& selection, const Limits& limits) {
  std::vector<json> objects;
  std::map<std::string, std::size_t> index;
  list(api_version, kind, namespace_, selection, [&](json&& object) {
    const auto [place, fresh] = index.emplace(text_at(object, {"metadata", "uid"}), objects.size());
    if (fresh) objects.push_back(std::move(object));
    else objects[place->second] = std::move(object);
  }, limits);
  return objects;
}

json Api::create(const json& object, const Limits& limits) {
  const auto ref = ref_of(object);
  const auto kind = resource(ref.api_version, ref.kind, limits);
  return client_.call_json({.method = "POST",
                            .path = kind.path(ref.namespace_.empty() ? default_namespace() : ref.namespace_),
                            .query = {{"fieldManager", std::string{field_manager}}},
                            .body = object.dump(),
                            .what = "create " + ref.text()},
                           limits);
}

json Api::try_create(const json& object, const Limits& limits) {
  const auto ref = ref_of(object);
  const auto kind = resource(ref.api_version, ref.kind, limits);
  return client_.call_json({.method = "POST",
                            .path = kind.path(ref.namespace_.empty() ? default_namespace() : ref.namespace_),
                            .query = {{"fieldManager", std::string{field_manager}}, {"dryRun", "All"}},
                            .body = object.dump(),
                            .what = "try " + ref.text()},
                           limits);
}

json Api::replace(const json& object, const Limits& limits, bool dry_run) {
  const auto ref = ref_of(object);
  Call call{.method = "PUT", .path = path_of(ref, limits), .query = {{"fieldManager", std::string{field_manager}}}, .body = object.dump(), .what = "replace " + ref.text()};
  if (dry_run) call.query.emplace_back("dryRun", "All");
  return client_.call_json(call, limits);
}

json Api::patch(const ObjectRef& object, PatchKind kind, const json& body, const Limits& limits, const std::string& subresource) {
  Call call{.method = "PATCH",
            .path = path_of(object, limits, subresource),
            .query = {{"fieldManager", std::string{field_manager}}},
            .body = body.dump(),
            .what = "patch " + object.text()};
  switch (kind) {
    case PatchKind::merge: call.content_type = "application/merge-patch+json"; break;
    case PatchKind::strategic: call.content_type = "application/strategic-merge-patch+json"; break;
    case PatchKind::json: call.content_type = "application/json-patch+json"; break;
  }
  return client_.call_json(call, limits);
}

Deletion Api::remove(const ObjectRef& object, const DeleteOptions& options, const Limits& limits) {
  const auto response = client_.call({.method = "DELETE",
                                      .path = path_of(object, limits),
                                      .body = delete_body(options).dump(),
                                      .what = "delete " + object.text(),
                                      .repeatable = !options.uid.empty(),
                                      .expected = {404, 409}},
                                     limits);
  if (response.status == 404) return Deletion::absent;
  if (response.status == 409) {
    if (options.uid.empty()) throw api_error(409, response.body, "delete " + object.text());
    return Deletion::other_object;
  }
  return Deletion::started;
}

}  // namespace codops::engine::kubernetes
