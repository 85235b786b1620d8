#include "lib/ops/image_view.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/io/crypto.hpp"
#include "lib/ops/observed.hpp"

namespace codops::ops {

ImageView::ImageView(engine::docker::Api& api, const std::string& project, const std::string& environment, const std::string& image, const Limits& limits)
    : api_{api}, name_{fmt::format("{}-look-{}", project, io::to_hex(io::random_bytes(4)))} {
  const nlohmann::json body{{"Image", image},
                            {"Cmd", {"true"}},
                            {"Labels",
                             {{"com.docker.compose.project", project},
                              {"com.docker.compose.oneoff", "True"},
                              {label_environment, environment},
                              {label_token, "look"}}}};
  api_.create_container(name_, body, limits);
}

ImageView::~ImageView() {
  try {
    api_.remove_container(name_, true, true, Limits{}.within(Milliseconds{10'000}));
  } catch (const Failure&) {
    // Harmless: it never runs, and the next changing run finds it by its labels.
  }
}

bool ImageView::read(const std::string& path, const std::function<void(std::string_view)>& tar, const Limits& limits) {
  return api_.get_archive(name_, path, tar, limits);
}

}  // namespace codops::ops
