// `codops backup export` and `keygen`.
#include "lib/backup/export.hpp"
#include "lib/backup/reading.hpp"

#include "commands/backup.hpp"
#include "commands/backup_place.hpp"
#include "lib/base/units.hpp"
#include "lib/io/files.hpp"

namespace codops::commands {
namespace {

class FileWriter final : public io::Writer {
 public:
  explicit FileWriter(const std::filesystem::path& path) : file_{path} {}
  void write(std::string_view bytes) override { file_.write(bytes); }
  void finish() override { file_.commit(io::AtomicFile::Existing::refuse); }
  std::uint64_t size() const { return file_.size(); }

 private:
  io::AtomicFile file_;
};

class Export final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("BACKUP", backup_, "a label (its newest), a stamp, or latest");
    parameters.positional("FILE", file_, "to write; it must not exist");
    parameters.choice("--format", {"custom", "plain"}, format_, "custom for pg_restore (default), plain for psql: one transaction");
    parameters.option("--part", "NAME", part_, "one part as it is: redis (an RDB), a volume or folder (a tar), globals (SQL)");
    parameters.option("--store", "DIR", store_, "instead of backup.store");
  }

  Result run(Services& services) override {
    BackupPlace place{services, environment_, store_};
    const auto manifest = place.find(backup_).manifest;
    const backup::Reading reading{place.catalogue(), manifest.label, services.limits()};
    // It appears under its name only once all of it was read and found whole.
    FileWriter writer{file_};
    if (part_) {
      backup::export_part(place.catalogue(), manifest, *part_, place.keys(), writer, services.limits());
      return {Exit::ok, fmt::format("{} · {}\n", file_, format_bytes(writer.size())), {}};
    }
    if (format_.value_or("custom") == "plain") {
      const int major = manifest.database ? manifest.database->server_number / 10000 : 0;
      const auto programs = backup::find_programs(major, {}, {}, services.limits());
      backup::export_plain(place.catalogue(), manifest, place.keys(), *programs, writer, services.limits());
      return {Exit::ok, fmt::format("{} · {}\n  psql -v ON_ERROR_STOP=1 -d DATABASE -f {}\n", file_, format_bytes(writer.size()), file_), {}};
    }
    backup::export_custom(place.catalogue(), manifest, place.keys(), writer, services.limits());
    return {Exit::ok, fmt::format("{} · {}\n  pg_restore -e -j 2 -d DATABASE {}\n", file_, format_bytes(writer.size()), file_), {}};
  }

 private:
  std::string environment_, backup_, file_;
  std::optional<std::string> format_, part_, store_;
};

class Keygen final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.option("--identity", "FILE", identity_, "the age identity to write; default backup-identity.age");
    parameters.option("--signing-key", "FILE", signing_, "the key that signs manifests; default backup-signing.key");
  }

  Result run(Services&) override {
    const std::filesystem::path identity_file = identity_.value_or("backup-identity.age");
    const std::filesystem::path signing_file = signing_.value_or("backup-signing.key");
    const auto identity = io::age::new_identity();
    write_new(identity_file, fmt::format("# public key: {}\n{}\n", identity.recipient().text(), identity.text().reveal()));
    const auto signing = io::new_signing_key();
    write_new(signing_file, signing_key_text(signing));
    return {Exit::ok,
            fmt::format("backup:\n  recipients: [{}]\n  identity_file: {}\n  signing_key: {}\n\n"
                        "Keep {} where the backups are not: without it nobody can read them. A host that only takes\n"
                        "backups needs the recipient and the signing key; one that only restores needs the identity and, instead of the\n"
                        "signing key:  signing_public_key: {}\n",
                        identity.recipient().text(), std::filesystem::absolute(identity_file).string(),
                        std::filesystem::absolute(signing_file).string(), identity_file.string(), io::to_base64(signing.public_key)),
            fmt::format("{{\"exit\":0,\"recipient\":\"{}\"}}", identity.recipient().text())};
  }

 private:
  static void write_new(const std::filesystem::path& path, const std::string& content) {
    io::AtomicFile file{path};
    file.write(content);
    file.commit(io::AtomicFile::Existing::refuse);
  }

  std::optional<std::string> identity_, signing_;
};

}  // namespace

std::unique_ptr<Command> make_backup_export() { return make_command<Export>(); }
std::unique_ptr<Command> make_backup_keygen() { return make_command<Keygen>(); }

}  // namespace codops::commands
