#pragma once
// Casts of single values and lists of them to what a key holds. All replace the node in place and throw
// Failure{config, "file:line:column: WHERE …"}.
#include <string>
#include <string_view>
#include <vector>

#include "lib/compose/keys.hpp"
#include "lib/text/node.hpp"

namespace codops::compose {

[[noreturn]] void wrong_kind(const text::Node& node, std::string_view where, std::string_view wanted);
bool valid_name(std::string_view name);

void to_text(text::Node& node, const std::string& where);
void to_integer(text::Node& node, const std::string& where);
void to_number(text::Node& node, const std::string& where);
void to_boolean(text::Node& node, const std::string& where, std::vector<std::string>& warnings);
void to_duration(text::Node& node, const std::string& where);  // an integer of nanoseconds, `text` as Go prints it
void to_bytes(text::Node& node, const std::string& where);     // an integer
void to_texts(text::Node& node, const std::string& where, Form form);
// A list of words; null stays: the image's own.
void to_command(text::Node& node, const std::string& where, std::vector<std::string>& warnings);
void to_health_test(text::Node& node, const std::string& where);
void to_dict(text::Node& node, const std::string& where, bool null_stays);  // a mapping of text
void to_hosts(text::Node& node, const std::string& where);                  // a mapping of lists of addresses

}  // namespace codops::compose
