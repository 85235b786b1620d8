#pragma once
// A created, never started container of an image, to look into it. Gone with the object; what a killed run left, the next changing one removes.
#include <functional>
#include <string>
#include <string_view>

#include "lib/engine/docker/api.hpp"

namespace codops::ops {

class ImageView {
 public:
  // `image` as the engine knows it: name or id.
  ImageView(engine::docker::Api& api, const std::string& project, const std::string& environment, const std::string& image, const Limits& limits);
  ~ImageView();
  ImageView(const ImageView&) = delete;
  ImageView& operator=(const ImageView&) = delete;

  // The archive of what the image has at that absolute path, named by its last part; links are not followed. false: it has nothing there.
  bool read(const std::string& path, const std::function<void(std::string_view)>& tar, const Limits& limits);

 private:
  engine::docker::Api& api_;
  std::string name_;
};

}  // namespace codops::ops
