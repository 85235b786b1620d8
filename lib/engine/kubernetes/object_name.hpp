#pragma once
// Names that the cluster takes, made of names that people chose.
#include <string>
#include <string_view>

namespace codops::engine::kubernetes {

// The first 24 hex digits of its SHA-256.
std::string short_hash(std::string_view text);
// As it is where it is a DNS label of at most `most` characters, else shortened with a hash that keeps it unique.
std::string dns_label(std::string_view text, std::size_t most = 40);
// The same for a label's value, which may have capitals, "_" and ".".
std::string label_value(std::string_view text);

}  // namespace codops::engine::kubernetes
