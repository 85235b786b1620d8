#include "commands/backup_place.hpp"

#include "commands/database.hpp"
#include "commands/host.hpp"
#include "commands/same_place.hpp"
#include "lib/io/files.hpp"
#include "lib/ops/volumes.hpp"
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
    : services_{services}, environment_{services.environment(environment)}, store_option_{store} {
  store_ = open_store(services, store.value_or(environment_.backup.store), environment_.backup.s3);
  read_keys();
  catalogue_ = std::make_unique<backup::Catalogue>(
      *store_, segment(services.project().name) + "/" + segment(environment_.name), keys_.trusted, services.clock());
  catalogue_->reach_by(same_place(services.options(), store_option_, {}));
}

BackupPlace::~BackupPlace() = default;

void BackupPlace::read_keys() {
  const auto& settings = environment_.backup;
  for (const auto& recipient : settings.recipients) keys_.recipients.push_back(io::age::parse_recipient(recipient));
  // With recipients it still opens what was encrypted before there were any.
  if (const auto passphrase = services_.variable("CODOPS_BACKUP_PASSPHRASE")) keys_.identities.passphrase = Secret{*passphrase};
  const auto take = [&](const std::string& name, const std::string& text) {
    const auto begin = text.find_first_not_of(" \t\r\n");
    if (begin != std::string::npos && io::age::looks_encrypted(std::string_view{text}.substr(begin))) {
      keys_.identities.locked = std::make_shared<io::age::ProtectedIdentities>(name, text);
      return;
    }
    try {
      keys_.identities.identities = io::age::parse_identities(text);
    } catch (Failure& failure) {
      failure.add_context(name);
      throw;
    }
  };
  if (const auto identity = services_.variable("CODOPS_BACKUP_IDENTITY")) {
    take("CODOPS_BACKUP_IDENTITY", *identity);
  } else if (!settings.identity_file.empty()) {
    // A backup host may well have recipients only: the identity is then on another machine.
    const auto file = absolute(environment_, settings.identity_file);
    if (const auto text = io::read_file_if_there(file)) take(file.string(), *text);
  }
  if (!settings.signing_key.empty()) {
    keys_.signing = parse_signing_key(io::read_file(absolute(environment_, settings.signing_key)));
    keys_.trusted = keys_.signing->public_key;
  }
  if (!settings.signing_public_key.empty()) {
    const auto key = io::from_base64(settings.signing_public_key);
    if (!key || key->size() != 32) throw Failure{Exit::config, "backup.signing_public_key is no public key", "codops backup keygen prints it"};
    keys_.trusted = *key;
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
  add_companions(subject);
  subject.options = same_place(services_.options(), store_option_, url_variable);
  return subject;
}

void BackupPlace::add_companions(backup::Subject& subject) {
  const auto& settings = environment_.backup;
  if (settings.redis) {
    auto redis = reach_redis(services_, environment_);
    if (!redis) throw Failure{Exit::config, "backup.redis is set, and nothing says where Redis is", "REDIS_URL in .env." + environment_.name};
    subject.redis = redis->target;
    redis_host_ = std::move(redis->host);
    redis_endpoint_ = std::move(redis->endpoint);
  }
  for (const auto& volume : settings.volumes) {
    if (volume.starts_with('/')) {
      backup::FilesPlace place;
      place.name = volume;
      place.directory = volume;
      subject.files.push_back(std::move(place));
      continue;
    }
    if (!volumes_host_) volumes_host_ = open_host(services_, environment_.name);
    subject.files.push_back(ops::volume_place(*volumes_host_, volume));
  }
}

backup::Entry BackupPlace::find(const std::string& backup) {
  auto entry = catalogue_->find(backup, services_.limits());
  for (const auto& passed : entry.passed_over) services_.reporter().warn(passed);
  return entry;
}

backup::AskOrigin BackupPlace::origin() {
  return [this]() -> std::optional<backup::DatabaseIdentity> {
    try {
      return backup::origin_of(reach_database(services_, environment_, std::nullopt).target, services_.limits())();
    } catch (const Failure&) {
      services_.limits().check("asking the database who it is");
      return std::nullopt;
    }
  };
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
