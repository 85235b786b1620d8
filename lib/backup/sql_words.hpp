#pragma once
// What a statement of a dump begins with. Only for sources of lib/backup.
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace codops::backup {

inline constexpr std::size_t words_shown = 60;

// In small letters, names and strings as they stand; three at least, which may be empty.
std::vector<std::string> first_words(std::string_view sql);
bool one_of(const std::string& word, std::initializer_list<std::string_view> words);
// Its kind and names, up to its first value: that may be the password of a subscription or a user mapping.
std::string statement_name(std::string_view statement);

// Of a token that is a name, as the catalogues have it: "a""b" is a"b, Shop is shop.
std::string name_of(std::string_view token);
// "(b, a)" of `COPY public.t (b, a) FROM stdin;`; empty: there is none.
std::string_view column_list(std::string_view copy);
// table_key() of such a statement's table; empty: it names no schema.
std::string copied_table(std::string_view copy);
// table_key() of `"a.b".c`; empty: it is no name with a schema, as SQL has them.
std::string named_table(std::string_view name);

}  // namespace codops::backup
