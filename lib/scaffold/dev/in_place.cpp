#include "lib/scaffold/dev/in_place.hpp"

#include <fmt/format.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/fd.hpp"
#include "lib/io/files.hpp"
#include "lib/plan/fault.hpp"

namespace codops::scaffold::dev {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::size_t piece = 4096;

fs::path record_of(const fs::path& records, const std::string& file) { return records / (io::sha256_hex(file).substr(0, 16) + ".json"); }

std::optional<InPlace> read_record(const fs::path& path) {
  try {
    const auto json = Json::parse(io::read_file(path));
    const auto before = io::from_base64(json.at("before").get<std::string>()), after = io::from_base64(json.at("after").get<std::string>());
    if (!before || !after) return std::nullopt;
    return InPlace{{}, json.at("file").get<std::string>(), *before, *after};
  } catch (const Json::exception&) {
    return std::nullopt;  // it appears whole or not at all: somebody else's
  }
}

std::vector<fs::path> records_in(const fs::path& records) {
  std::vector<fs::path> found;
  std::error_code error;
  for (auto entry = fs::directory_iterator{records, error}; !error && entry != fs::directory_iterator{}; entry.increment(error)) {
    if (entry->path().extension() == ".json") found.push_back(entry->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// From `at` on: 0, or why not.
int write_from(int fd, std::string_view text, std::size_t at, const plan::Faults* faults) {
  while (at < text.size()) {
    const auto part = text.substr(at, piece);
    const auto done = ::pwrite(fd, part.data(), part.size(), static_cast<off_t>(at));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return done < 0 ? errno : ENOSPC;
    at += static_cast<std::size_t>(done);
    if (faults != nullptr) faults->at("within", "env");
  }
  if (::ftruncate(fd, static_cast<off_t>(text.size())) != 0 || ::fsync(fd) != 0) return errno;
  return 0;
}

[[noreturn]] void cannot_write(const std::string& file, int why, std::string_view state) {
  throw Failure{Exit::failed, fmt::format("cannot write \"{}\": {}; {}", file, std::strerror(why), state)};
}

}  // namespace

bool is_half_of(std::string_view now, std::string_view before, std::string_view after) {
  if (now == before || now == after) return false;
  if (now.size() < std::min(before.size(), after.size()) || now.size() > std::max(before.size(), after.size())) return false;
  for (std::size_t i = 0; i < now.size(); ++i) {
    const bool old_one = i < before.size() && now[i] == before[i], new_one = i < after.size() && now[i] == after[i];
    if (!old_one && !new_one && !(i >= before.size() && now[i] == '\0')) return false;
  }
  return true;
}

fs::path keep_copy(const fs::path& copies, std::string_view file, std::string_view content) {
  io::make_folders(copies);
  std::string name{file};
  std::replace(name.begin(), name.end(), '/', '_');
  auto path = copies / fmt::format("{}.{}", name, io::sha256_hex(content).substr(0, 12));
  io::AtomicFile copy{path};
  copy.write(content);
  copy.commit();
  return path;
}

void write_in_place(const InPlace& change, const fs::path& records) {
  const plan::Faults faults;
  const auto same = static_cast<std::size_t>(std::mismatch(change.before.begin(), change.before.end(), change.after.begin(), change.after.end()).first - change.before.begin());
  // What only grows is never written over, not even if somebody adds a line at this moment.
  const bool grows = same == change.before.size();
  const io::Fd fd{::open((change.project / change.file).c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | (grows ? O_APPEND : 0))};
  if (!fd) cannot_write(change.file, errno, "it is as it was");
  std::string now(change.before.size() + 1, '\0');
  const auto got = ::pread(fd.get(), now.data(), now.size(), 0);
  if (got < 0 || std::string_view{now}.substr(0, static_cast<std::size_t>(got)) != change.before) throw Failure{Exit::failed, fmt::format("\"{}\" was changed meanwhile", change.file), "codops setup-dev"};
  // The room before the bytes, where the file system can promise it.
  if (change.after.size() > change.before.size() && ::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(change.after.size())) != 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
    cannot_write(change.file, errno, "it is as it was");
  }
  io::make_folders(records);
  const auto record = record_of(records, change.file);
  io::AtomicFile written{record};
  written.write(Json{{"file", change.file}, {"before", io::to_base64(change.before)}, {"after", io::to_base64(change.after)}}.dump());
  written.commit();
  int why = write_from(fd.get(), change.after, same, &faults);
  const bool is_back = why == 0 || (grows ? ::ftruncate(fd.get(), static_cast<off_t>(change.before.size())) == 0 && ::fsync(fd.get()) == 0 : write_from(fd.get(), change.before, same, nullptr) == 0);
  if (!is_back) cannot_write(change.file, why, fmt::format("a part of it was written, and what it was is kept in \"{}\": codops setup-dev puts it back", record.string()));
  std::error_code error;
  fs::remove(record, error);  // one that stays names a file that is whole, and counts for nothing
  if (why != 0) cannot_write(change.file, why, "it is as it was");
}

std::vector<std::string> half_written(const fs::path& project, const fs::path& records) {
  std::vector<std::string> files;
  for (const auto& path : records_in(records)) {
    const auto record = read_record(path);
    const auto now = record ? io::read_file_if_there(project / record->file) : std::nullopt;
    if (now && is_half_of(*now, record->before, record->after)) files.push_back(record->file);
  }
  return files;
}

std::vector<std::string> put_back(const fs::path& project, const fs::path& records, const fs::path& copies) {
  std::vector<std::string> told;
  for (const auto& path : records_in(records)) {
    if (auto record = read_record(path)) {
      record->project = project;
      const auto now = io::read_file_if_there(project / record->file);
      if (now && is_half_of(*now, record->before, record->after)) {
        keep_copy(copies, record->file, *now);
        const io::Fd fd{::open((project / record->file).c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC)};
        const int why = fd ? write_from(fd.get(), record->before, 0, nullptr) : errno;
        if (why != 0) cannot_write(record->file, why, fmt::format("a part of it was written by a run that died, and what it was is kept in \"{}\"", path.string()));
        told.push_back(fmt::format("\"{}\" is as it was: a run that died had written a part of it", record->file));
      } else if (now && *now != record->before && *now != record->after) {
        const auto copy = keep_copy(copies, record->file, record->before);
        told.push_back(fmt::format("\"{}\" was changed since a run died while it was written, and is left as it is; what it was before that run: \"{}\"", record->file, copy.lexically_relative(project).string()));
      }
    }
    std::error_code error;
    fs::remove(path, error);
  }
  return told;
}

}  // namespace codops::scaffold::dev
