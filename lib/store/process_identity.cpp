#include "lib/store/process_identity.hpp"

#include <unistd.h>

#include <optional>

#include "lib/io/files.hpp"

namespace codops::store {
namespace {

std::string first_line(const char* path) {
  auto text = io::read_file_if_there(path, 4096).value_or("");
  return text.substr(0, text.find('\n'));
}

std::string own_namespace() {
  std::error_code none;
  return std::filesystem::read_symlink("/proc/self/ns/pid", none).string();
}

// nullopt: it has ended; a zombie has, whoever should have reaped it.
std::optional<std::uint64_t> start_time_of(std::int64_t pid) {
  const auto stat = io::read_file_if_there(fmt::format("/proc/{}/stat", pid), 4096);
  if (!stat) return std::nullopt;
  // The command's name, in brackets, may hold anything; field 22 is the 20th after it.
  std::string_view rest{*stat};
  rest.remove_prefix(std::min(rest.size(), rest.rfind(')') + 1));
  if (rest.starts_with(" Z") || rest.starts_with(" X")) return std::nullopt;
  for (int field = 2; field < 22; ++field) {
    const auto space = rest.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(space + 1);
  }
  return std::strtoull(std::string{rest.substr(0, rest.find(' '))}.c_str(), nullptr, 10);
}

}  // namespace

ProcessIdentity this_process() {
  const auto pid = static_cast<std::int64_t>(::getpid());
  return {first_line("/proc/sys/kernel/random/boot_id"), own_namespace(), pid, start_time_of(pid).value_or(0)};
}

bool is_gone(const ProcessIdentity& process) {
  const auto self = this_process();
  if (process.boot_id != self.boot_id || process.pid_namespace != self.pid_namespace) return false;
  const auto start = start_time_of(process.pid);
  return !start || *start != process.start_time;
}

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

}  // namespace codops::store
