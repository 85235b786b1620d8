#include "lib/backup/restricted_sql.hpp"

#include <fmt/format.h>

#include "lib/io/crypto.hpp"

namespace codops::backup {
namespace {

constexpr std::string_view restrict_command = "\\restrict ";
constexpr std::size_t head_size = 4096;       // pg_dump's own line stands in its first few
constexpr std::size_t longest_command = 256;  // longer lines are none of its
constexpr std::size_t chunk = 64U << 10U;

}  // namespace

bool psql_restricts(Programs& programs, const Limits& limits) {
  std::string help;
  Call call{"psql", {"--help=commands"}, {}};
  call.connects = false;
  call.streams.out = [&](std::string_view bytes) { help += bytes; };
  return programs.run(call, limits.within(Milliseconds{10'000})).status.success() && help.find(restrict_command) != std::string::npos;
}

RestrictedSql::RestrictedSql(io::Reader& from, bool restrict_psql) : from_{from}, restricted_{restrict_psql} {
  if (restricted_) ready_ = fmt::format("{}{}\n", restrict_command, io::to_hex(io::random_bytes(16)));
}

bool RestrictedSql::fill() {
  std::string bytes(chunk, '\0');
  bytes.resize(from_.read(bytes.data(), bytes.size()));
  if (bytes.empty()) {
    ready_ = std::move(pending_);
    pending_.clear();
    return !ready_.empty();
  }
  std::string_view rest{bytes};
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const auto piece = rest.substr(0, end == std::string_view::npos ? rest.size() : end + 1);
    rest.remove_prefix(piece.size());
    seen_ += piece.size();
    pending_ += piece;
    if (end == std::string_view::npos) {
      if (long_line_ || pending_.size() > longest_command) {
        long_line_ = true;
        ready_ += std::exchange(pending_, {});
      }
      break;
    }
    const bool own = !long_line_ && pending_.starts_with(restrict_command) && unrestrict_.empty() && seen_ <= head_size;
    if (own) unrestrict_ = "\\un" + pending_.substr(1);
    if (!own && (long_line_ || unrestrict_.empty() || pending_ != unrestrict_)) ready_ += pending_;
    pending_.clear();
    long_line_ = false;
  }
  return true;
}

std::size_t RestrictedSql::read(char* into, std::size_t size) {
  if (!restricted_) return from_.read(into, size);
  while (at_ == ready_.size()) {
    ready_.clear();
    at_ = 0;
    if (!fill()) return 0;
  }
  const auto taken = ready_.copy(into, size, at_);
  at_ += taken;
  return taken;
}

}  // namespace codops::backup
