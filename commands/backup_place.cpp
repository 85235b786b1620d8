#include "commands/backup_place.hpp"

#include "commands/database.hpp"
#include "lib/io/files.hpp"
#include "lib/store/directory.hpp"
#include "lib/store/s3.hpp"

namespace codops::commands {
namespace {

constexpr std::string_view signing_prefix = "codops-signing-key-1 ";

std::unique_ptr<store::Store> open_store(Services& services, const std::string& address, const settings::S3& settings) {
  if (address.starts_with("/")) return std::make_unique<store::DirectoryStore>(address);
  const auto bucket = store::parse_s3_address(address);
  if (!bucket) {
    throw Failure{Exit::config, fmt::format("backup.store \"{}\" is neither an absolute directory nor s3://BUCKET/PREFIX", address),
                  "backup.store: /backups"};
  }
  const auto required = [&](const std::string& name) {
    const auto value = services.variable(name);
    if (!value) throw Failure{Exit::config, fmt::format("{} is not set", name), "it has the credentials of backup.store"};
    return *value;
  };
  store::S3Settings s3;
  s3.address = *bucket;
  s3.endpoint = settings.endpoint;
  s3.region = settings.region;
  s3.path_style = settings.path_style;
  s3.ca_file = settings.ca;
  s3.bandwidth = settings.bandwidth;
  s3.object_lock = settings.object_lock;
  s3.credentials = {required(settings.access_key_variable), Secret{required(settings.secret_key_variable)},
                    Secret{services.variable(settings.session_token_variable).value_or("")}};
  return std::make_unique<store::S3Store>(std::move(s3), services.clock());
}

// What a path segment of a store may hold.
std::string segment(std::string text) {
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) == 0 && c != '-' && c != '_'; }, '-');
  return text.empty() ? "project" : text;
}

std::filesystem::path absolute(const settings::Environment& environment, const std::string& path) {
  return std::filesystem::path{path}.is_absolute() ? std::filesystem::path{path} : environment.directory / path;
}

}  // namespace

BackupPlace::BackupPlace(Services& services, const std::string& environment, const std::optional<std::string>& store)
    : services_{services}, environment_{services.environment(environment)} {
  store_ = open_store(services, store.value_or(environment_.backup.store), environment_.backup.s3);
  read_keys();
  catalogue_ = std::make_unique<backup::Catalogue>(
      *store_, segment(services.project().name) + "/" + segment(environment_.name), keys_.trusted);
}

BackupPlace::~BackupPlace() = default;

void BackupPlace::read_keys() {
  const auto& settings = environment_.backup;
  for (const auto& recipient : settings.recipients) keys_.recipients.push_back(io::age::parse_recipient(recipient));
  if (const auto passphrase = services_.variable("CODOPS_BACKUP_PASSPHRASE"); passphrase && keys_.recipients.empty()) {
    keys_.identities.passphrase = Secret{*passphrase};
  }
  if (const auto identity = services_.variable("CODOPS_BACKUP_IDENTITY")) {
    keys_.identities.identities = io::age::parse_identities(*identity);
  } else if (!settings.identity_file.empty()) {
    // A backup host may well have recipients only: the identity is then on another machine.
    if (const auto text = io::read_file_if_there(absolute(environment_, settings.identity_file))) {
      keys_.identities.identities = io::age::parse_identities(*text);
    }
  }
  if (!settings.signing_key.empty()) {
    keys_.signing = parse_signing_key(io::read_file(absolute(environment_, settings.signing_key)));
    keys_.trusted = keys_.signing->public_key;
  }
}

backup::Subject BackupPlace::subject(const std::optional<std::string>& url_variable) {
  auto reached = reach_database(services_, environment_, url_variable);
  backup::Subject subject{environment_.name, reached.target, {}};
  if (reached.container) {
    engine_ = std::move(reached.engine);
    endpoint_ = std::move(reached.container->endpoint);
    subject.container = backup::ContainerPlace{&engine_->containers(), reached.container->container.id, reached.container->container.name};
  }
  return subject;
}

backup::Policy BackupPlace::policy() const {
  const auto& retention = environment_.backup.retention;
  return {retention.count, retention.days,    retention.keep_min, retention.daily,
          retention.weekly, retention.monthly, retention.yearly};
}

backup::Options BackupPlace::options() const {
  const auto& settings = environment_.backup;
  backup::Options options;
  options.dump.jobs = settings.jobs;
  options.dump.level = settings.compression;
  options.dump.archive = options.dump.plain = options.dump.split = false;
  for (const auto& format : settings.formats) {
    options.dump.archive |= format == "custom" || format == "directory" || format == "all";
    options.dump.plain |= format == "plain" || format == "all";
    options.dump.split |= format == "directory";
  }
  if (!options.dump.archive && !options.dump.plain) options.dump.archive = true;
  options.prune = policy();
  return options;
}

std::string signing_key_text(const io::SigningKey& key) {
  return std::string{signing_prefix} + io::to_base64(key.seed.reveal()) + "\n";
}

io::SigningKey parse_signing_key(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  const auto seed = text.starts_with(signing_prefix) ? io::from_base64(text.substr(signing_prefix.size())) : std::nullopt;
  if (!seed) throw Failure{Exit::config, "backup.signing_key is no signing key", "make one with: codops backup keygen"};
  return io::signing_key_from_seed(*seed);
}

}  // namespace codops::commands
