#pragma once
// Where an environment's backups are, who can read them, and which database is theirs: from the settings.
#include <memory>
#include <optional>
#include <string>

#include "commands/services.hpp"
#include "lib/backup/backup.hpp"
#include "lib/ops/engine.hpp"
#include "lib/ops/host.hpp"
#include "lib/settings/environment.hpp"
#include "lib/store/store.hpp"

namespace codops::commands {

class BackupPlace {
 public:
  // `store`: of --store; empty: the environment's.
  BackupPlace(Services& services, const std::string& environment, const std::optional<std::string>& store);
  ~BackupPlace();

  const settings::Environment& environment() const { return environment_; }
  backup::Catalogue& catalogue() { return *catalogue_; }
  // A label, a tag, or latest: for what that passes over there is a warning.
  backup::Entry find(const std::string& backup);
  const backup::Keyring& keys() const { return keys_; }
  // The database, reachable from here: its own address, or a way into its container; and what is taken along with it.
  backup::Subject subject(const std::optional<std::string>& url_variable);
  // Redis and volumes as backup.redis and backup.volumes name them: subject() has done so.
  void add_companions(backup::Subject& subject);
  backup::Options options() const;  // of the settings
  backup::Policy policy() const;
  // Whose backups rules may remove: of the database, as far as the settings lead to it.
  backup::AskOrigin origin();

 private:
  void read_keys();

  Services& services_;
  settings::Environment environment_;
  std::optional<std::string> store_option_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<backup::Catalogue> catalogue_;
  backup::Keyring keys_;
  std::unique_ptr<ops::Engine> engine_;
  std::unique_ptr<ops::Host> redis_host_, volumes_host_;
  std::unique_ptr<target::Endpoint> endpoint_, redis_endpoint_;
};

// A signing key file: one line "codops-signing-key-1" and base64 of the seed.
std::string signing_key_text(const io::SigningKey& key);
io::SigningKey parse_signing_key(std::string_view text);

}  // namespace codops::commands
