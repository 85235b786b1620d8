// The plan as people read it: images, a diff for each object, numbered steps.
#include <fmt/format.h>

#include "lib/base/units.hpp"
#include "lib/ops/kubernetes/plan.hpp"

namespace codops::ops::kubernetes {
namespace {

constexpr std::size_t most_fields = 8;   // of one object
constexpr std::size_t most_objects = 40;
constexpr std::size_t line_width = 88;

std::string release_title(int number, const std::string& version) { return fmt::format("release {} ({})", number, version); }

std::string short_digest(const std::string& digest) { return digest.empty() ? "tag only" : digest.substr(0, 19) + "…"; }

void add_images(std::string& text, const std::vector<kube::ContainerImage>& images) {
  std::set<std::string> shown;
  std::size_t width = 0;
  for (const auto& image : images) width = std::max(width, image.container.size());
  const char* heading = "images";
  for (const auto& image : images) {
    const auto parts = kube::parse_image(image.image);
    if (!shown.insert(image.container + image.image).second) continue;
    text += fmt::format("  {:<9} {:<{}}  {}  {}\n", heading, image.container, width, parts.repository + (parts.tag.empty() ? "" : ":" + parts.tag), short_digest(parts.digest));
    heading = "";
  }
}

void add_diff(std::string& text, const kube::ObjectDiff& diff, const char* heading) {
  text += fmt::format("  {:<9} {} {}{}\n", heading, static_cast<char>(diff.sign), diff.ref.text(), diff.new_pods && diff.sign == kube::Sign::changed ? "   new pods" : "");
  std::size_t count = 0;
  for (const auto& change : diff.changes) {
    if (++count > most_fields) {
      text += fmt::format("                {} more fields\n", diff.changes.size() - most_fields);
      break;
    }
    text += fmt::format("                {}\n", change.text(line_width - 4));
  }
}

}  // namespace

std::string plan_text(const Planned& planned, const std::string& shown, const release::Release* current, const std::vector<kube::ContainerImage>& images) {
  const auto& plan = planned.plan;
  auto text = fmt::format("{} · {} · {} → {}\n\n", plan.environment, shown, current == nullptr ? "nothing deployed" : release_title(current->number, current->version),
                          release_title(plan.release, plan.version));
  add_images(text, images);
  const char* heading = "objects";
  std::size_t count = 0;
  std::size_t same = 0;
  const auto add = [&](const kube::ObjectDiff& diff) {
    if (diff.sign == kube::Sign::same) {
      ++same;
      return;
    }
    if (++count > most_objects) return;
    add_diff(text, diff, heading);
    heading = "";
  };
  for (const auto& diff : planned.diffs) add(diff);
  for (const auto& diff : planned.pruned) add(diff);
  if (count > most_objects) text += fmt::format("            … and {} more\n", count - most_objects);
  if (same > 0) text += fmt::format("  {:<9} = {} others stay as they are\n", heading, same);
  auto steps = plan;
  steps.untouched.clear();
  text += "\n" + plan::steps_text(steps) + "\n";
  for (const auto& note : plan.notes) text += fmt::format("  note: {}\n", note);
  for (const auto& warning : plan.warnings) text += fmt::format("  warning: {}\n", warning);
  for (const auto& reason : plan.downtime) text += fmt::format("  downtime: {}\n", reason);
  return text;
}

}  // namespace codops::ops::kubernetes
