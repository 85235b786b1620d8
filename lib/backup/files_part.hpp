#pragma once
// Volumes and upload folders in a backup: a tar of what is there; and back. What is restored is laid beside the live content,
// inside the same folder, and the entries of both change places by renames: containers that have the folder mounted see it at
// once, and what was live stays for undo.
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "lib/backup/dump.hpp"
#include "lib/io/tar.hpp"
#include "lib/target/containers.hpp"

namespace codops::backup {

struct FilesPlace {
  std::string name;                 // as the settings have it: a volume's name, or the folder
  std::filesystem::path directory;  // on this machine; empty: in containers
  target::Containers* containers{};
  // Calls with a container that has the volume, and where; `running`: one in which a program can be run.
  using Act = std::function<void(const std::string& container, const std::string& path)>;
  std::function<void(bool running, const Act& act, const Limits& limits)> with_container;
};

// What was not stored as it was: for a warning.
struct FilesTaken {
  Part part;
  std::uint64_t changed{};   // became shorter or vanished while they were read
  std::uint64_t left_out{};  // sockets, pipes, devices
  std::uint64_t less_attributes{};  // have extended attributes, such as ACLs and capabilities, which are not stored
};
FilesTaken take_files(const FilesPlace& place, std::size_t number, const Destination& destination, int level, Progress& progress, const Limits& limits);

// Reads a stored tar to its end. Failure{data} for damage, or other numbers than the part has.
void check_files(io::Reader& reader, const Part& part);

// ".codops-before-STAMP" and the like: what restores lay beside the live files. Any other ".codops-…" is a file like the rest.
bool is_laid_aside(std::string_view name);

// The entries of a folder by name, and moving them: on this machine, or by `find` and `mv` inside a container.
class Entries {
 public:
  virtual ~Entries() = default;
  virtual std::vector<std::string> names(const std::string& folder, const Limits& limits) = 0;  // "" is the live folder; absent: none
  virtual void make(const std::string& folder, const Limits& limits) = 0;
  virtual void move(const std::vector<std::string>& names, const std::string& from, const std::string& to, const Limits& limits) = 0;
  virtual void rename(const std::string& from, const std::string& to, const Limits& limits) = 0;
  virtual void remove(const std::string& folder, const Limits& limits) = 0;
};
std::unique_ptr<Entries> local_entries(const std::filesystem::path& folder);
std::unique_ptr<Entries> container_entries(target::Containers& containers, std::string container, std::string path);

// ".codops-new-STAMP" becomes what is live, what was live becomes ".codops-before-STAMP". Killed between any two renames,
// mend_swap() puts back what was live; a failure does so at once. Failure{undo_failed}: that failed too, and ".codops-new-STAMP" must
// stay for mend_swap() to know.
void swap_entries(Entries& entries, const std::string& stamp, const Limits& limits);
void swap_entries_back(Entries& entries, const std::string& stamp, const Limits& limits);
bool needs_mending(Entries& entries, const Limits& limits);
void mend_swap(Entries& entries, const Limits& limits);
// The stamp of the newest restore that put something aside here; empty: none did.
std::string entries_put_aside(Entries& entries, const Limits& limits);
// What the restore of that stamp put aside, live again; what was live becomes ".codops-undone-STAMP". Killed before all of that has
// moved out, mend_swap() puts it back, and later it brings the undo to its end; a failure puts it back at once.
void undo_entries(Entries& entries, const std::string& stamp, const Limits& limits);

class FilesRestore {
 public:
  FilesRestore(FilesPlace place, const Part& part, std::string stamp);
  ~FilesRestore();  // removes what was laid beside, unless it was swapped in
  FilesRestore(const FilesRestore&) = delete;
  FilesRestore& operator=(const FilesRestore&) = delete;

  void load(io::Reader& tar, Progress& progress, const Limits& limits);
  void swap(const Limits& limits);
  void swap_back(const Limits& limits);
  std::string kept() const;
  std::string note() const;  // what was not laid out as it was; empty: nothing

 private:
  FilesPlace place_;
  Part part_;
  std::string stamp_;
  bool laid_{}, swapped_{};
  std::uint64_t less_special_{};
};

// What a restore that died had laid beside the files goes, or back, where it was killed in the middle. Only folders of this
// machine: for a volume a container may have to be started, which the next restore does. Returns what was done, for people.
std::vector<std::string> mend_files(const FilesPlace& place, const Limits& limits);
// The same for a volume too.
void mend_files_anywhere(const FilesPlace& place, const Limits& limits);
std::string files_put_aside(const FilesPlace& place, const Limits& limits);
void undo_files(const FilesPlace& place, const std::string& stamp, const Limits& limits);

}  // namespace codops::backup
