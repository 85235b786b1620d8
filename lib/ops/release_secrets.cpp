#include "lib/ops/release_secrets.hpp"

#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/io/files.hpp"
#include "lib/text/dotenv.hpp"

namespace codops::ops {
namespace {

// Of a command: "--requirepass X", "--token=X", and what a text says by itself (URLs, "password=x").
void add_words(const nlohmann::json& spec, KnownSecrets& secrets) {
  for (const auto* place : {"/Entrypoint", "/Cmd", "/Healthcheck/Test"}) {
    const auto words = spec.value(nlohmann::json::json_pointer{place}, nlohmann::json{});
    if (!words.is_array()) continue;
    std::string before;
    for (const auto& each : words) {
      if (!each.is_string()) continue;
      const auto& word = each.get_ref<const std::string&>();
      const auto equals = word.find('=');
      const bool is_option = word.starts_with('-');
      if (is_option && equals != std::string::npos) secrets.add_variable(word.substr(0, equals), word.substr(equals + 1));
      else if (!before.empty()) secrets.add_variable(before, word);
      // A script's lines are no secrets, what it leads to may be.
      else {
        std::istringstream lines{word};
        for (std::string line; std::getline(lines, line);) {
          if (line.find("://") != std::string::npos || line.find('=') != std::string::npos) secrets.add_variable({}, line);
        }
      }
      before = is_option ? word : std::string{};
    }
  }
}

}  // namespace

void add_secrets_of(const settings::Environment& environment, const std::map<std::string, std::string>& shell, KnownSecrets& secrets) {
  const text::Lookup from_shell = [&](std::string_view name) -> std::optional<std::string> {
    const auto found = shell.find(std::string{name});
    return found == shell.end() ? std::nullopt : std::optional{found->second};
  };
  for (const auto& file : environment.env_files) {
    try {
      const auto content = io::read_file_if_there(environment.directory / file);
      if (!content) continue;
      for (const auto& assignment : text::parse_dotenv(*content, file, from_shell)) {
        if (assignment.value) secrets.add_variable(assignment.name, *assignment.value);
      }
    } catch (const Failure&) {
      // No file of assignments.
    }
  }
  for (const auto& name : environment.env_from_shell) {
    if (const auto value = from_shell(name)) secrets.add_variable(name, *value);
  }
  for (const auto& notification : environment.notify) secrets.add(notification.url.reveal());
}

void add_secrets_of(const release::Release& release, const release::Specs& specs, const std::function<std::string(const std::string&)>& content,
                    KnownSecrets& secrets) {
  for (const auto& [service, spec] : specs) {
    const auto json = nlohmann::json::parse(spec.reveal(), nullptr, false);
    if (!json.is_object()) continue;
    add_words(json, secrets);
    if (!json.contains("Env")) continue;
    for (const auto& variable : json.at("Env")) {
      const auto& text = variable.get_ref<const std::string&>();
      const auto equals = text.find('=');
      if (equals != std::string::npos) secrets.add_variable(std::string_view{text}.substr(0, equals), std::string_view{text}.substr(equals + 1));
    }
  }
  for (const auto& service : release.services) {
    for (const auto& file : service.files) {
      if (file.secret) secrets.add_file(content(file.sha256));
    }
  }
}

}  // namespace codops::ops
