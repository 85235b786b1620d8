#pragma once
// Migration files out of an image: the new version's own.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/migrate/source.hpp"
#include "lib/target/containers.hpp"

namespace codops::migrate {

// Of the tar archive of a migrations folder, whose entries all begin with the folder's own name ("migrations/1_a/…").
std::vector<File> read_archive(std::string_view tar);

// `folder` inside the image: "/app/prisma/migrations". Failure{data} when the archive is larger than 256 MB.
std::vector<File> read_image(target::Containers& containers, const std::string& image, const std::string& folder, const Limits& limits);

}  // namespace codops::migrate
