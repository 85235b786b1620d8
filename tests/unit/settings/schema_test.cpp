#include "lib/settings/schema.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/io/files.hpp"
#include "lib/settings/layers.hpp"
#include "lib/settings/reference.hpp"
#include "lib/settings/settings.hpp"
#include "lib/text/yaml.hpp"
#include "tests/support/source_dir.hpp"

using namespace codops;
using namespace codops::settings;

TEST_CASE("the schema is sound: unique paths and variables, valid defaults and examples, help for each") {
  std::set<std::string> paths, variables;
  for (const Key& key : schema()) {
    CAPTURE(key.path);
    CHECK(paths.insert(std::string{key.path}).second);
    CHECK_FALSE(key.help.empty());
    CHECK_FALSE(key.example.empty());
    for (const auto& word : split_words(key.example)) CHECK(check_value(key, word) == "");
    for (const auto& word : split_words(key.fallback)) CHECK(check_value(key, word) == "");
    if (const auto variable = variable_of(key.path); !variable.empty()) CHECK(variables.insert(variable).second);
    CHECK((key.type == Type::choice) == !key.choices.empty());
  }
}

TEST_CASE("paths find their rows") {
  CHECK(find_key("proxy.services.api\\.v1.port")->path == "proxy.services.*.port");
  CHECK(find_key("hooks.pre_deploy[2].run")->path == "hooks.pre_deploy[].run");
  CHECK(find_key("proxy") == nullptr);
  CHECK(find_key("proxy.servic") == nullptr);
  CHECK(pattern_of("proxy") == "proxy");
  CHECK(pattern_of("health.checks.a") == "health.checks.*");
  CHECK(pattern_of("nothing") == "");
  CHECK(variable_of("backup.retention.days") == "CODOPS_BACKUP_RETENTION_DAYS");
  CHECK(variable_of("images.*") == "");
}

TEST_CASE("the files in config/ are what the schema says") {
  const std::filesystem::path config = std::filesystem::path{codops::tests::source_dir()} / "config";
  CHECK_MESSAGE(io::read_file(config / "codops.example.yaml") == reference_yaml(),
                "run: codops config reference > config/codops.example.yaml");
  CHECK_MESSAGE(io::read_file(config / "codops.schema.json") == schema_json(),
                "run: codops config reference --schema > config/codops.schema.json");
}

TEST_CASE("the reference is valid and shows every key") {
  io::TemporaryFolder folder;
  io::write_file(folder.path() / "codops.yaml", reference_yaml());
  Sources sources;
  sources.directory = folder.path();
  const auto loaded = Settings::load(sources);
  CHECK_MESSAGE(loaded.problems().empty(), describe(loaded.problems()));
  for (const auto& name : loaded.project().environments) {
    CAPTURE(name);
    CHECK_MESSAGE(loaded.problems_of(name).empty(), describe(loaded.problems_of(name)));
  }
  std::set<std::string> shown;
  const auto values = loaded.values();
  for (const auto& [path, value] : values.all()) {
    if (value.origin.kind == Origin::Kind::file) shown.insert(pattern_of(path));
  }
  for (const Key& key : schema()) {
    CAPTURE(key.path);
    CHECK(shown.contains(std::string{key.path}));
  }
}

TEST_CASE("the JSON schema closes every section") {
  const auto document = nlohmann::json::parse(schema_json());
  CHECK(document["additionalProperties"] == false);
  CHECK(document["properties"]["proxy"]["additionalProperties"] == false);
  CHECK(document["properties"]["hooks"]["properties"]["pre_deploy"]["type"] == "array");
  CHECK(document["properties"]["readiness"]["additionalProperties"]["properties"].contains("path"));
  CHECK(document["$defs"]["environment"]["properties"].contains("monitor"));
  CHECK_FALSE(document["$defs"]["environment"]["properties"].contains("environments"));
}
