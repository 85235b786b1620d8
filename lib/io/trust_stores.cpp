#include "lib/io/trust_stores.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>

#include "lib/base/failure.hpp"
#include "lib/io/fd.hpp"

namespace codops::io {
namespace {

// What pipes had to say, which they say once: round after round wants it (--wait, --watch).
class FromPipes {
 public:
  std::optional<std::string> find(const std::string& file) {
    const std::lock_guard guard{mutex_};
    const auto found = texts_.find(file);
    return found == texts_.end() ? std::nullopt : std::optional{found->second};
  }
  void keep(const std::string& file, const std::string& text) {
    const std::lock_guard guard{mutex_};
    texts_[file] = text;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> texts_;
};

// Never destroyed: a thread that nobody waits for may be reading at the end of main.
FromPipes& from_pipes() {
  static auto* all = new FromPipes;
  return *all;
}

bool is_pipe(const Fd& fd) {
  struct stat status {};
  return ::fstat(fd.get(), &status) == 0 && S_ISFIFO(status.st_mode);
}

Pem read_pem(const std::string& file) {
  if (const auto known = from_pipes().find(file)) return {*known, ""};
  constexpr std::size_t most = 4U << 20U;  // the system's bundle has a quarter of a megabyte
  const Fd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) return {"", std::strerror(errno)};
  Pem out;
  std::array<char, 16384> buffer{};
  for (;;) {
    const auto got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return {"", std::strerror(errno)};
    if (got == 0 && !out.text.empty() && is_pipe(fd)) from_pipes().keep(file, out.text);
    if (got == 0) return out;
    out.text.append(buffer.data(), static_cast<std::size_t>(got));
    if (out.text.size() > most) return {"", "it is too long for a PEM file"};
  }
}

// Certificates and revocation lists, as X509_STORE_load_file() takes them.
bool add_all(X509_STORE* store, const std::string& text) {
  const std::unique_ptr<BIO, decltype(&::BIO_free)> memory{::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &::BIO_free};
  char no_passphrase[] = "";  // else OpenSSL would ask for one on the terminal
  auto* all = ::PEM_X509_INFO_read_bio(memory.get(), nullptr, nullptr, no_passphrase);
  int added = 0;
  for (int i = 0; i < sk_X509_INFO_num(all); ++i) {
    const auto* one = sk_X509_INFO_value(all, i);
    if (one->x509 != nullptr) added += ::X509_STORE_add_cert(store, one->x509);
    if (one->crl != nullptr) added += ::X509_STORE_add_crl(store, one->crl);
  }
  sk_X509_INFO_pop_free(all, ::X509_INFO_free);
  ::ERR_clear_error();
  return added > 0;
}

}  // namespace

struct TrustStores::Stores {
  std::map<std::string, std::unique_ptr<X509_STORE, decltype(&::X509_STORE_free)>> by_file;
};

TrustStores::TrustStores() : stores_{std::make_unique<Stores>()} {}
TrustStores::~TrustStores() = default;

x509_store_st* TrustStores::get(const std::string& ca_file) {
  const auto found = stores_->by_file.find(ca_file);
  if (found != stores_->by_file.end()) return found->second.get();
  std::unique_ptr<X509_STORE, decltype(&::X509_STORE_free)> store{::X509_STORE_new(), &::X509_STORE_free};
  // A CA file may name an intermediate or the server's own certificate, as curl's --cacert may.
  ::X509_STORE_set_flags(store.get(), X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
  if (ca_file.empty()) {
    ::X509_STORE_set_default_paths(store.get());
  } else {
    const auto read = pem(ca_file);
    if (!add_all(store.get(), read.text)) {
      throw Failure{Exit::config, "no certificate can be read from \"" + ca_file + "\"" + (read.trouble.empty() ? "" : ": " + read.trouble),
                    "name a PEM file with the certificate of the CA"};
    }
  }
  return stores_->by_file.emplace(ca_file, std::move(store)).first->second.get();
}

Pem TrustStores::pem(const std::string& file) {
  if (const auto known = texts_.find(file); known != texts_.end()) return {known->second, ""};
  auto out = read_pem(file);
  if (out.trouble.empty()) texts_.emplace(file, out.text);
  return out;
}

std::vector<std::string> TrustStores::unread(const Trust& trust) const {
  std::vector<std::string> out;
  for (const auto* file : {&trust.ca_file, &trust.client_certificate, &trust.client_key}) {
    if (!file->empty() && !texts_.contains(*file)) out.push_back(*file);
  }
  return out;
}

Errand TrustStores::read(EventLoop& loop, const Trust& trust, std::function<void()> done) {
  const auto files = unread(trust);
  if (files.empty()) return nullptr;
  const auto wanted = std::make_shared<Waiting>(Waiting{files.size(), std::move(done)});
  for (const auto& file : files) {
    auto& reading = readings_[file];
    if (!reading.errand) {
      reading.errand = start_errand(loop, [this, file] {
        return [this, file, pem = read_pem(file)] { take(file, pem); };
      });
    }
    if (!reading.errand) return nullptr;
    reading.waiting.push_back(wanted);
  }
  return wanted;
}

void TrustStores::take(const std::string& file, const Pem& pem) {
  const auto reading = std::move(readings_.extract(file).mapped());
  if (pem.trouble.empty()) texts_.emplace(file, pem.text);
  for (const auto& one : reading.waiting) {
    const auto waiting = one.lock();
    if (waiting && --waiting->files == 0) waiting->done();
  }
}

}  // namespace codops::io
