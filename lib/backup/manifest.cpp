#include "lib/backup/manifest.hpp"

#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/text/printable.hpp"

namespace codops::backup {
namespace {

using Json = nlohmann::ordered_json;
constexpr int version = 1;

// A name is bytes in its database's encoding, JSON is UTF-8. What is none goes as two hexadecimal digits behind a NUL, which no name
// has: the same bytes come back.
std::string to_utf8(std::string_view name) {
  std::string text;
  while (!name.empty()) {
    const auto length = text::character_length(name);
    if (length == 0) text.append(1, '\0').append(io::to_hex(name.substr(0, 1)));
    else text.append(name.substr(0, length));
    name.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return text;
}

std::string from_utf8(std::string_view text) {
  std::string name;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\0') {
      name += text[at];
      continue;
    }
    const auto byte = io::from_hex(text.substr(at + 1, 2));
    if (!byte || byte->size() != 1) throw Failure{Exit::data, "a name in the manifest is no name"};
    name += *byte;
    at += 2;
  }
  return name;
}

std::vector<std::string> all_of(std::vector<std::string> names, std::string (*change)(std::string_view)) {
  for (auto& name : names) name = change(name);
  return names;
}

Json write_database(const DatabaseIdentity& it) {
  Json json{{"name", to_utf8(it.name)},
          {"owner", to_utf8(it.owner)},
          {"server_version", it.server_version},
          {"server_number", it.server_number},
          {"system_identifier", it.system_identifier},
          {"encoding", it.encoding},
          {"collate", it.collate},
          {"ctype", it.ctype},
          {"dump_version", it.dump_version},
          {"size", it.size},
          {"extensions", it.extensions},
          {"roles", all_of(it.roles, to_utf8)}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) json[name] = value;
  };
  add("locale_provider", it.locale.provider);
  add("locale", it.locale.name);
  add("icu_rules", it.locale.rules);
  add("tablespace", it.tablespace);
  add("lc_monetary", it.lc_monetary);
  if (!it.tablespaces.empty()) json["tablespaces"] = it.tablespaces;
  return json;
}

DatabaseIdentity read_database(const Json& json) {
  DatabaseIdentity it;
  it.name = from_utf8(json.at("name").get<std::string>());
  it.owner = from_utf8(json.value("owner", ""));
  json.at("server_version").get_to(it.server_version);
  json.at("server_number").get_to(it.server_number);
  it.system_identifier = json.value("system_identifier", "");
  it.encoding = json.value("encoding", "");
  it.collate = json.value("collate", "");
  it.ctype = json.value("ctype", "");
  it.locale = {json.value("locale_provider", ""), json.value("locale", ""), json.value("icu_rules", "")};
  it.tablespace = json.value("tablespace", "");
  it.tablespaces = json.value("tablespaces", std::vector<std::string>{});
  it.lc_monetary = json.value("lc_monetary", "");
  it.dump_version = json.value("dump_version", "");
  it.size = json.value("size", std::uint64_t{});
  it.extensions = json.value("extensions", std::vector<std::string>{});
  it.roles = all_of(json.value("roles", std::vector<std::string>{}), from_utf8);
  return it;
}

Json write_part(const Part& part) {
  Json json{{"name", part.name}, {"kind", part.kind}};
  if (!part.subject.empty()) json["subject"] = to_utf8(part.subject);
  if (!part.copy.empty()) json["copy"] = to_utf8(part.copy);
  json["size"] = part.size;
  json["plain_size"] = part.plain_size;
  json["sha256"] = part.sha256;
  if (!part.plain_sha256.empty()) json["plain_sha256"] = part.plain_sha256;
  if (!part.counts.empty()) json["counts"] = part.counts;
  if (!part.about.empty()) json["about"] = part.about;
  return json;
}

// A part lies beside its manifest: whoever wrote that may not lead us elsewhere.
void require_plain_name(const std::string& name) {
  const bool plain = !name.empty() && name.size() <= 200 && name.front() != '.' &&
                     std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_'; });
  if (!plain) throw Failure{Exit::data, "the manifest names a part that can't be one"};
}

Part read_part(const Json& json) {
  Part part;
  json.at("name").get_to(part.name);
  require_plain_name(part.name);
  json.at("kind").get_to(part.kind);
  part.subject = from_utf8(json.value("subject", ""));
  part.copy = from_utf8(json.value("copy", ""));
  json.at("size").get_to(part.size);
  part.plain_size = json.value("plain_size", std::uint64_t{});
  json.at("sha256").get_to(part.sha256);
  part.plain_sha256 = json.value("plain_sha256", "");
  part.counts = json.value("counts", part.counts);
  part.about = json.value("about", part.about);
  return part;
}

WallTime read_time(const Json& json, const char* name) {
  const auto time = parse_rfc3339(json.at(name).get<std::string>());
  if (!time) throw Failure{Exit::data, fmt::format("the manifest's \"{}\" is no time", name)};
  return *time;
}

}  // namespace

std::uint64_t Manifest::size() const {
  std::uint64_t total = 0;
  for (const auto& part : parts) total += part.size;
  return total;
}

std::uint64_t Manifest::plain_size() const {
  std::uint64_t total = 0;
  for (const auto& part : parts) total += part.plain_size;
  return total;
}

std::uint64_t Manifest::rows() const {
  std::uint64_t total = 0;
  for (const auto& table : tables) total += table.rows;
  return total;
}

const Part* Manifest::find(std::string_view kind) const {
  for (const auto& part : parts) {
    if (part.kind == kind) return &part;
  }
  return nullptr;
}

std::string Manifest::contents() const {
  auto text = fmt::format("{} tables, {} rows", tables.size(), rows());
  std::uint64_t keys = 0, files = 0;
  bool has_redis = false, has_files = false;
  for (const auto& part : parts) {
    has_redis |= part.kind == "redis";
    has_files |= part.kind == "files";
    for (const auto& [name, count] : part.counts) {
      if (part.kind == "redis") keys += count;
      if (part.kind == "files" && name == "files") files += count;
    }
  }
  if (has_redis) text += fmt::format(", {} keys", keys);
  if (has_files) text += fmt::format(", {} files", files);
  return text;
}

bool same_database(const DatabaseIdentity& one, const DatabaseIdentity& other) {
  const bool known = !one.system_identifier.empty() && !other.system_identifier.empty();
  return one.name == other.name && (!known || one.system_identifier == other.system_identifier);
}

std::string origin_text(const DatabaseIdentity& database) {
  return fmt::format("\"{}\" of {}", database.name, database.system_identifier.empty() ? "a server that is not told" : "server " + database.system_identifier);
}

std::string to_json(const Manifest& manifest) {
  Json json{{"codops_backup", version},
            {"label", manifest.label},
            {"environment", manifest.environment},
            {"folder", manifest.folder},
            {"tag", manifest.tag},
            {"safety", manifest.safety},
            {"sequence", manifest.sequence},
            {"started", to_rfc3339(manifest.started)},
            {"finished", to_rfc3339(manifest.finished)},
            {"codops_version", manifest.codops_version},
            {"host", manifest.host},
            {"encrypted", manifest.encrypted},
            {"recipients", manifest.recipients}};
  if (manifest.database) json["database"] = write_database(*manifest.database);
  json["parts"] = Json::array();
  for (const auto& part : manifest.parts) json["parts"].push_back(write_part(part));
  json["tables"] = Json::array();
  for (const auto& table : manifest.tables) {
    json["tables"].push_back({{"table", to_utf8(table.table)}, {"rows", table.rows}, {"digest", table.digest}});
  }
  return json.dump(1) + "\n";
}

Manifest parse_manifest(std::string_view text) try {
  // The parser's own message may quote the bytes that it stumbled over, which are anything at all.
  const auto json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) throw Failure{Exit::data, "the manifest is no JSON document"};
  if (json.at("codops_backup").get<int>() > version) {
    throw Failure{Exit::data, "the manifest was written by a newer codops", "update codops"};
  }
  Manifest manifest;
  json.at("label").get_to(manifest.label);
  manifest.environment = json.value("environment", "");
  manifest.folder = json.value("folder", "");
  manifest.tag = json.value("tag", "");
  // An earlier codops said it with the tag alone.
  manifest.safety = json.value("safety", manifest.tag.starts_with("before restore of "));
  manifest.sequence = json.value("sequence", std::uint64_t{});
  manifest.started = read_time(json, "started");
  manifest.finished = read_time(json, "finished");
  manifest.codops_version = json.value("codops_version", "");
  manifest.host = json.value("host", "");
  manifest.encrypted = json.value("encrypted", false);
  manifest.recipients = json.value("recipients", std::vector<std::string>{});
  if (json.contains("database")) manifest.database = read_database(json.at("database"));
  for (const auto& part : json.at("parts")) manifest.parts.push_back(read_part(part));
  for (const auto& table : json.at("tables")) {
    manifest.tables.push_back({from_utf8(table.at("table").get<std::string>()), table.at("rows"), table.at("digest")});
  }
  return manifest;
} catch (const nlohmann::json::exception& error) {
  throw Failure{Exit::data, fmt::format("the manifest is malformed: {}", error.what())};
}

}  // namespace codops::backup
