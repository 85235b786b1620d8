#include "lib/engine/kubernetes/api_error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "lib/base/known_secrets.hpp"
#include "lib/engine/json_fields.hpp"
#include "lib/io/crypto.hpp"

namespace codops::engine::kubernetes {
namespace {

using nlohmann::json;

std::string between(std::string_view text, std::string_view before, std::string_view after) {
  const auto start = text.find(before);
  if (start == std::string_view::npos) return {};
  const auto rest = text.substr(start + before.size());
  const auto end = rest.find(after);
  return end == std::string_view::npos ? std::string{} : std::string{rest.substr(0, end)};
}

// What to do, by what the status and reason say.
std::string hint_for(int status, const std::string& reason, const std::vector<StatusCause>& causes, const json& details, std::string_view message) {
  switch (status) {
    case 401: return "the credentials were refused: log in again, or renew the token";
    case 403: {
      // The details name no subresource; the sentence does: cannot create resource "pods/exec" in API group "" in the namespace "shop".
      const auto verb = between(message, " cannot ", " resource \""), resource = between(message, " resource \"", "\""), in = between(message, " in the namespace \"", "\"");
      if (!verb.empty() && !resource.empty()) {
        const bool whole = message.find(" at the cluster scope") != std::string_view::npos;
        return fmt::format("{} of your user needs it: {} \"{}\" in API group \"{}\"", whole ? "a ClusterRole" : in.empty() ? "a Role" : "a Role in " + in, verb, resource,
                           between(message, " in API group \"", "\""));
      }
      const auto kind = text_at(details, {"kind"}), group = text_at(details, {"group"});
      if (kind.empty()) return "the cluster's administrator has to allow it (RBAC), or an admission rule forbids it";
      return fmt::format("a Role of your user needs it: \"{}\" in API group \"{}\"; unless the message names a quota or an admission rule", kind, group);
    }
    case 404: return reason.empty() ? "does the cluster know this kind? its CustomResourceDefinition may be missing" : "";
    case 409:
      if (!causes.empty()) return "take these fields out of the manifest, or have their present owner give them up";
      return reason == "AlreadyExists" ? "" : "somebody changed it at the same time: run it again";
    case 429: return "the server is overloaded, or a PodDisruptionBudget forbids it for now: try again later";
    default: return "";
  }
}

constexpr std::string_view value_prefix = "Invalid value: ";

// A refusal quotes what it refuses: a whole pod template, with every variable in it. A word or a number is kept.
std::string without_value(const std::string& message) {
  if (!message.starts_with(value_prefix)) return message;
  const auto value = std::string_view{message}.substr(value_prefix.size());
  const auto bracket = value.find_first_of("{[");
  if (value.starts_with('"') || bracket == std::string_view::npos || bracket > value.find(": ")) return message;
  const auto end = std::max(value.rfind("}: ") + 1, value.rfind("]: ") + 1);
  return end == 0 ? "Invalid value" : std::string{value.substr(end + 2)};
}

// The server's own words, made again of its causes where one of them is told without its value.
std::string without_values(const std::string& message, const std::vector<StatusCause>& told, const std::vector<StatusCause>& causes) {
  if (std::equal(told.begin(), told.end(), causes.begin(), causes.end(), [](const auto& a, const auto& b) { return a.message == b.message; })) return message;
  constexpr std::string_view invalid = " is invalid: ";
  const auto at = message.find(invalid);
  std::string text = at == std::string::npos ? "it is invalid: " : message.substr(0, at + invalid.size());
  for (std::size_t index = 0; index < causes.size(); ++index) text += fmt::format("{}{}: {}", index == 0 ? "" : ", ", causes[index].field, causes[index].message);
  return text;
}

// structured-merge-diff: ".stringData.PIN: expected string, got &value.valueUnstructured{Value:4711}", a line for each. The kind says enough.
std::string without_got(std::string message) {
  constexpr std::string_view got = ", got &";
  for (auto at = message.find(got); at != std::string::npos; at = message.find(got, at + 1)) {
    const auto end = std::min(message.find('\n', at), message.size());
    auto value = std::string_view{message}.substr(at + got.size(), end - at - got.size());
    if (const auto inner = value.find("Value:"); inner != std::string_view::npos) value.remove_prefix(inner + 6);
    const char first = value.empty() ? ' ' : value.front() == '{' && value.size() > 1 ? value[1] : value.front();
    const auto* kind = value.starts_with("map[") || value.starts_with("{map[") ? "a mapping"
                       : first == '[' ? "a list"
                       : (first >= '0' && first <= '9') || first == '-' ? "a number: put it in quotes"
                       : value.find("true") < 2 || value.find("false") < 2 ? "true or false: put it in quotes"
                                                                           : "something else";
    message.replace(at, end - at, fmt::format(", got {}", kind));
  }
  return message;
}

KnownSecrets values_of_secret(std::string_view sent) {
  KnownSecrets known;
  const auto object = json::parse(sent, nullptr, false);
  if (!object.is_object() || text_at(object, {"kind"}) != "Secret") return known;
  for (const auto* name : {"data", "stringData"}) {
    const auto& values = field(object, {name});
    if (!values.is_object()) continue;
    for (const auto& [key, value] : values.items()) {
      const auto text = value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, json::error_handler_t::replace);
      known.add_file(text);
      if (std::string_view{name} == "stringData") known.add(io::to_base64(text));
      else if (const auto plain = io::from_base64(text)) known.add_file(*plain);
    }
  }
  return known;
}

}  // namespace

ApiError::ApiError(int status, std::string reason, std::vector<StatusCause> causes, std::string message, std::string hint)
    : Failure{Exit::failed, std::move(message), std::move(hint)}, status_{status}, reason_{std::move(reason)}, causes_{std::move(causes)} {}

bool ApiError::field_conflict() const noexcept {
  return status_ == 409 && std::any_of(causes_.begin(), causes_.end(), [](const StatusCause& cause) { return cause.reason == "FieldManagerConflict"; });
}

ApiError api_error(int status, std::string_view body, std::string_view what, std::string_view sent) {
  const auto value = json::parse(body, nullptr, false);
  const bool is_status = text_at(value, {"kind"}) == "Status";
  std::string message = is_status ? text_at(value, {"message"}) : std::string{body.substr(0, std::min(body.find('\n'), std::size_t{200}))};
  const auto reason = text_at(value, {"reason"});
  std::vector<StatusCause> causes;
  if (const auto& list = field(value, {"details", "causes"}); list.is_array()) {
    for (const auto& cause : list) causes.push_back({text_at(cause, {"reason"}), text_at(cause, {"field"}), text_at(cause, {"message"})});
  }
  const auto told = causes;
  for (auto& cause : causes) cause.message = without_value(cause.message);
  message = without_got(without_values(message, told, causes));
  const auto known = values_of_secret(sent);
  message = known.hide(message);
  for (auto& cause : causes) cause.message = known.hide(without_got(cause.message));
  const auto hint = hint_for(status, reason, causes, field(value, {"details"}), message);
  if (message.empty()) message = fmt::format("the API server answered {}", status);
  else if (!is_status) message = fmt::format("the API server answered {}: {}", status, message);
  // The server joins the causes of a conflict in one long line; one line each is what can be read.
  ApiError error{status, reason, causes, std::move(message), hint};
  if (error.field_conflict()) {
    std::string lines = "fields belong to others:";
    for (const auto& cause : causes) lines += fmt::format("\n  {}  {}", cause.field, cause.message);
    error = ApiError{status, reason, causes, std::move(lines), hint};
  }
  if (!what.empty()) error.add_context(what);
  return error;
}

std::optional<Milliseconds> parse_retry_after(std::string_view header, std::optional<WallTime> now) {
  while (header.starts_with(' ')) header.remove_prefix(1);
  if (header.empty()) return std::nullopt;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(header.data(), header.data() + header.size(), seconds);
  constexpr std::int64_t longest = 24LL * 3600;
  if (error == std::errc{} && end == header.data() + header.size()) {
    return Milliseconds{std::clamp<std::int64_t>(seconds, 0, longest) * 1000};
  }
  const auto date = parse_http_date(header);
  if (!date || !now) return std::nullopt;
  return std::max(Milliseconds{0}, *date - *now);
}

}  // namespace codops::engine::kubernetes
