#pragma once
// What is needed of the XML that S3 answers with: elements without attributes, by name.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace codops::store {

// What is between each <name> and </name>, as it stands.
std::vector<std::string_view> xml_elements(std::string_view xml, std::string_view name);
// The text of each, entities replaced.
std::vector<std::string> xml_texts(std::string_view xml, std::string_view name);
std::string xml_text(std::string_view xml, std::string_view name);  // of the first; empty: there is none
// An answer that is one whole element of that name, attributes and a declaration aside.
bool is_whole_xml(std::string_view body, std::string_view root);

struct ListPage {
  struct Item {
    std::string key;
    std::uint64_t size{};
  };
  std::vector<Item> items;
  bool truncated{};
  std::string token;  // for the next page; some servers have none
};
// nullopt: this is no whole answer to a list, whatever its status was.
std::optional<ListPage> parse_list_page(std::string_view body);

}  // namespace codops::store
