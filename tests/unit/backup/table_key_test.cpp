#include "lib/backup/table_key.hpp"

#include <doctest/doctest.h>

#include "lib/backup/restore_steps.hpp"
#include "lib/backup/sql_words.hpp"

using namespace codops;
using namespace codops::backup;

TEST_CASE("table key: names with a dot are quoted, and told apart") {
  CHECK(table_key("public", "orders") == "public.orders");
  CHECK(table_key("odd schema", "we\"ird, name") == "odd schema.we\"ird, name");
  CHECK(table_key("a.b", "c") == "\"a.b\".\"c\"");
  CHECK(table_key("a", "b.c") == "\"a\".\"b.c\"");
  CHECK(table_key("a", "x\".y") == "\"a\".\"x\"\".y\"");
  CHECK(plain_name("public.orders") == "public.orders");
  CHECK(plain_name("\"a.b\".\"c\"") == "a.b.c");
  CHECK(plain_name("\"a\".\"x\"\".y\"") == "a.x\".y");
  CHECK(plain_name("\"a\".\"b\"") == "\"a\".\"b\"");  // a schema that is called "a", with its quotes
}

TEST_CASE("table key: what a dump's COPY names") {
  CHECK(copied_table("COPY public.t (b, a) FROM stdin;\n") == "public.t");
  CHECK(copied_table("copy \"a.b\".\"c\" (x) FROM stdin;") == "\"a.b\".\"c\"");
  CHECK(copied_table("COPY \"Odd \"\"s\".\"T\"  FROM stdin;") == "Odd \"s.T");
  CHECK(copied_table("COPY t (a) FROM stdin;").empty());
  CHECK(column_list("COPY public.t (b, \"a)\") FROM stdin;") == "(b, \"a)\")");
  CHECK(column_list("COPY public.bare  FROM stdin;").empty());
}

TEST_CASE("table key: a table by what somebody typed") {
  const std::vector<TableName> tables{{"a", "b.c"}, {"a.b", "c"}, {"public", "orders"}, {"public", "Odd"}, {"shop", "orders"}, {"restored_20261123_101500_250", "Odd"}};
  CHECK(find_table("public.orders", tables, "") == "public.orders");
  CHECK(find_table("Odd", tables, "") == "public.Odd");
  CHECK(find_table("public.\"Odd\"", tables, "") == "public.Odd");
  CHECK(find_table("\"a.b\".c", tables, "") == "\"a.b\".\"c\"");
  CHECK(find_table("b.c", tables, "") == "\"a\".\"b.c\"");
  const auto refused = [&](const std::string& asked) {
    try {
      return find_table(asked, tables, "see");
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::usage);
      return failure.message() + " / " + failure.hint();
    }
  };
  CHECK(refused("orders") == "\"orders\" is in several schemas: public.orders, shop.orders / name it with its schema, as it is written here");
  CHECK(refused("a.b.c").starts_with("\"a.b.c\" is in several schemas: \"a\".\"b.c\", \"a.b\".\"c\""));
  CHECK(refused("public.order") == "the backup has no table \"public.order\" / did you mean public.orders?");
  CHECK(refused("nowhere.at.all") == "the backup has no table \"nowhere.at.all\" / see");
}
