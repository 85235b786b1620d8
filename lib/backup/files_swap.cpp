#include <cerrno>
#include <cstring>

#include "lib/backup/files_part.hpp"
#include "lib/backup/swap.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"

namespace codops::backup {
namespace fs = std::filesystem;
namespace {

// While what is live moves out, its folder is called "moving": killed then, everything in it belongs back. It is "before"
// once all of it is there: killed then, what is live belongs to what was to come.
constexpr std::string_view fresh_word = ".codops-new-", moving_word = ".codops-moving-", before_word = ".codops-before-", undone_word = ".codops-undone-";

std::string folder_name(std::string_view word, const std::string& stamp) { return std::string{word} + stamp; }

class LocalEntries final : public Entries {
 public:
  explicit LocalEntries(fs::path folder) : folder_{std::move(folder)} {}

  std::vector<std::string> names(const std::string& folder, const Limits&) override {
    std::vector<std::string> all;
    std::error_code none;
    for (auto at = fs::directory_iterator{folder_ / folder, none}; !none && at != fs::directory_iterator{}; at.increment(none)) {
      all.push_back(at->path().filename().string());
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  void make(const std::string& folder, const Limits&) override {
    std::error_code failed;
    fs::create_directory(folder_ / folder, failed);
    if (failed) throw Failure{Exit::failed, fmt::format("cannot make \"{}\": {}", (folder_ / folder).string(), failed.message())};
  }
  void move(const std::vector<std::string>& names, const std::string& from, const std::string& to, const Limits&) override {
    for (const auto& name : names) must_rename(folder_ / from / name, folder_ / to / name);
    io::sync_folder(folder_ / from);
    io::sync_folder(folder_ / to);
  }
  void rename(const std::string& from, const std::string& to, const Limits&) override {
    must_rename(folder_ / from, folder_ / to);
    io::sync_folder(folder_);
  }
  void remove(const std::string& folder, const Limits&) override {
    std::error_code failed;
    fs::remove_all(folder_ / folder, failed);
    if (failed) throw Failure{Exit::failed, fmt::format("cannot remove \"{}\": {}", (folder_ / folder).string(), failed.message())};
  }

 private:
  static void must_rename(const fs::path& from, const fs::path& to) {
    if (::rename(from.c_str(), to.c_str()) == 0) return;
    throw Failure{Exit::failed, fmt::format("cannot move \"{}\": {}", from.string(), std::strerror(errno)),
                  errno == EXDEV || errno == EBUSY ? "something is mounted inside the folder" : ""};
  }
  fs::path folder_;
};

class ContainerEntries final : public Entries {
 public:
  ContainerEntries(target::Containers& containers, std::string container, std::string path)
      : containers_{containers}, container_{std::move(container)}, path_{std::move(path)} {}

  std::vector<std::string> names(const std::string& folder, const Limits& limits) override {
    std::string out;
    if (run({"find", below(folder), "-mindepth", "1", "-maxdepth", "1", "-print0"}, out, limits) != 0) return {};
    std::vector<std::string> all;
    for (std::size_t at = 0; at < out.size();) {
      const auto end = std::min(out.find('\0', at), out.size());
      const auto path = out.substr(at, end - at);
      all.push_back(path.substr(path.rfind('/') + 1));
      at = end + 1;
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  void make(const std::string& folder, const Limits& limits) override { must({"mkdir", "-p", below(folder)}, limits); }
  void move(const std::vector<std::string>& names, const std::string& from, const std::string& to, const Limits& limits) override {
    constexpr std::size_t at_once = 200;
    for (std::size_t at = 0; at < names.size(); at += at_once) {
      std::vector<std::string> argv{"mv", "--"};
      for (auto i = at; i < std::min(names.size(), at + at_once); ++i) argv.push_back(below(from) + "/" + names[i]);
      argv.push_back(below(to) + "/");
      must(argv, limits);
    }
  }
  void rename(const std::string& from, const std::string& to, const Limits& limits) override {
    must({"mv", "--", below(from), below(to)}, limits);
  }
  void remove(const std::string& folder, const Limits& limits) override { must({"rm", "-rf", "--", below(folder)}, limits); }

 private:
  std::string below(const std::string& folder) const { return folder.empty() ? path_ : path_ + "/" + folder; }
  int run(std::vector<std::string> argv, std::string& out, const Limits& limits) {
    target::ExecRequest request;
    request.argv = std::move(argv);
    request.user = "0";
    said_.clear();
    return containers_.exec(container_, request,
                            {{}, [&](std::string_view bytes) { out += bytes; }, [&](std::string_view bytes) { said_ += bytes; }}, limits);
  }
  void must(const std::vector<std::string>& argv, const Limits& limits) {
    std::string out;
    if (run(argv, out, limits) == 0) return;
    throw Failure{Exit::failed, fmt::format("{} failed in \"{}\": {}", argv.front(), container_.substr(0, 12), said_.substr(0, 300))};
  }
  target::Containers& containers_;
  std::string container_, path_, said_;
};

std::vector<std::string> live_names(Entries& entries, const Limits& limits) {
  auto names = entries.names("", limits);
  std::erase_if(names, is_laid_aside);
  return names;
}

std::vector<std::string> stamps_of(Entries& entries, std::string_view word, const Limits& limits) {
  std::vector<std::string> stamps;
  for (const auto& name : entries.names("", limits)) {
    // Anything may be called ".codops-before-…" by whoever can write into the folder.
    if (name.starts_with(word) && is_stamp(std::string_view{name}.substr(word.size()))) stamps.push_back(name.substr(word.size()));
  }
  return stamps;
}

}  // namespace

bool is_laid_aside(std::string_view name) {
  for (const auto word : {fresh_word, moving_word, before_word, undone_word}) {
    if (name.starts_with(word) && is_stamp(name.substr(word.size()))) return true;
  }
  return false;
}

std::unique_ptr<Entries> local_entries(const fs::path& folder) { return std::make_unique<LocalEntries>(folder); }
std::unique_ptr<Entries> container_entries(target::Containers& containers, std::string container, std::string path) {
  return std::make_unique<ContainerEntries>(containers, std::move(container), std::move(path));
}

bool needs_mending(Entries& entries, const Limits& limits) {
  if (!stamps_of(entries, moving_word, limits).empty() || !stamps_of(entries, fresh_word, limits).empty()) return true;
  const auto before = stamps_of(entries, before_word, limits), undone = stamps_of(entries, undone_word, limits);
  return std::any_of(undone.begin(), undone.end(), [&](const auto& stamp) { return std::find(before.begin(), before.end(), stamp) != before.end(); });
}

namespace {

bool is_there(Entries& entries, const std::string& folder, const Limits& limits) {
  const auto all = entries.names("", limits);
  return std::find(all.begin(), all.end(), folder) != all.end();
}

void move_all(Entries& entries, const std::string& from, const std::string& to, const Limits& limits) { entries.move(entries.names(from, limits), from, to, limits); }

// All that was live is "undone" by now.
void finish_undo(Entries& entries, const std::string& stamp, const Limits& limits) {
  const auto before = folder_name(before_word, stamp);
  move_all(entries, before, "", limits);
  entries.remove(before, limits);
}

// After a failure: back() at once, on a time of its own. Failure{undo_failed}: that failed too.
void go_back(const std::exception& failure, const std::function<void(const Limits&)>& back) {
  try {
    back(Limits{}.within(Milliseconds{60'000}));
  } catch (const std::exception& again) {
    throw Failure{Exit::undo_failed, fmt::format("{}; and what had been moved could not all be put back: {}", failure.what(), again.what()),
                  "it is in .codops-moving-… or .codops-before-… there; once that is mended, the next restore or its --undo puts it back"};
  }
}

}  // namespace

void mend_swap(Entries& entries, const Limits& limits) {
  for (const auto& stamp : stamps_of(entries, undone_word, limits)) {
    if (is_there(entries, folder_name(before_word, stamp), limits)) finish_undo(entries, stamp, limits);
  }
  for (const auto& stamp : stamps_of(entries, moving_word, limits)) {
    const auto moving = folder_name(moving_word, stamp);
    move_all(entries, moving, "", limits);
    entries.remove(moving, limits);
  }
  for (const auto& stamp : stamps_of(entries, fresh_word, limits)) {
    const auto fresh = folder_name(fresh_word, stamp), before = folder_name(before_word, stamp);
    if (is_there(entries, before, limits)) {
      // Killed on the way in.
      entries.move(live_names(entries, limits), "", fresh, limits);
      entries.rename(before, folder_name(moving_word, stamp), limits);
      const auto moving = folder_name(moving_word, stamp);
      move_all(entries, moving, "", limits);
      entries.remove(moving, limits);
    }
    entries.remove(fresh, limits);
  }
}

void swap_entries(Entries& entries, const std::string& stamp, const Limits& limits) {
  const auto fresh = folder_name(fresh_word, stamp), moving = folder_name(moving_word, stamp), before = folder_name(before_word, stamp);
  try {
    entries.make(moving, limits);
    entries.move(live_names(entries, limits), "", moving, limits);
    entries.rename(moving, before, limits);
    auto names = entries.names(fresh, limits);
    std::erase_if(names, is_laid_aside);
    entries.move(names, fresh, "", limits);
    entries.remove(fresh, limits);
  } catch (const std::exception& failure) {
    go_back(failure, [&](const Limits& own) { mend_swap(entries, own); });
    throw;
  }
}

void swap_entries_back(Entries& entries, const std::string& stamp, const Limits& limits) {
  entries.make(folder_name(fresh_word, stamp), limits);
  mend_swap(entries, limits);
}

std::string entries_put_aside(Entries& entries, const Limits& limits) {
  const auto stamps = stamps_of(entries, before_word, limits);
  return stamps.empty() ? std::string{} : *std::max_element(stamps.begin(), stamps.end());
}

void undo_entries(Entries& entries, const std::string& stamp, const Limits& limits) {
  mend_swap(entries, limits);
  const auto moving = folder_name(moving_word, stamp), before = folder_name(before_word, stamp), undone = folder_name(undone_word, stamp);
  bool out = false;
  try {
    entries.make(moving, limits);
    entries.move(live_names(entries, limits), "", moving, limits);
    entries.rename(moving, undone, limits);
    out = true;
    finish_undo(entries, stamp, limits);
  } catch (const std::exception& failure) {
    go_back(failure, [&](const Limits& own) {
      if (out) {
        entries.move(live_names(entries, own), "", before, own);
        entries.rename(undone, moving, own);
      }
      mend_swap(entries, own);
    });
    throw;
  }
}

}  // namespace codops::backup
