// Rows into a database on several connections, whatever their width.
#include "lib/backup/copy_in.hpp"

#include <ctime>

#include "tests/support/backup_fixture.hpp"

using namespace codops;
using namespace codops::tests;

TEST_CASE("restore: a row wider than any batch is fed in time that grows with it, and arrives whole among others") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE UNLOGGED TABLE t (i int, v text); ALTER TABLE t ALTER v SET STORAGE EXTERNAL; CREATE UNLOGGED TABLE after (i int, v text)"};
  backup::CopyIn copy{shop.target(), 3, a_minute()};
  const auto narrow = [&](int from, int to) {
    for (int i = from; i < to; ++i) copy.feed(std::to_string(i) + "\t" + std::string(1000, 'n') + "\n");
  };
  const std::string piece(16U << 10U, 'w');
  const auto wide = [&](int i, std::size_t pieces) {
    copy.feed(std::to_string(i) + "\t");
    for (std::size_t n = 0; n < pieces; ++n) copy.feed(piece);
    copy.feed("\n");
  };
  const auto used = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  };
  copy.begin("t", "COPY public.t FROM STDIN");
  narrow(0, 3000);
  const auto before = used();
  wide(3000, 4096);
  CHECK(used() - before < 2.0);
  narrow(3001, 6000);
  wide(6000, 200);
  wide(6001, 65);
  copy.feed("\\.\n");
  copy.end("\\.\n");
  copy.begin("after", "COPY public.after FROM STDIN");
  wide(1, 300);
  copy.end("\\.\n");
  copy.begin("after", "COPY public.after FROM STDIN");
  narrow(2, 4);
  copy.end("\\.\n");
  copy.finish();
  CHECK(copy.rows().at("t") == 6002);
  CHECK(copy.rows().at("after") == 3);
  CHECK(answer(shop.target(), "SELECT concat_ws(' ', count(*), count(DISTINCT i), sum(length(v))) FROM t") ==
        fmt::format("6002 6002 {}", 5999 * 1000 + (4096 + 200 + 65) * static_cast<std::int64_t>(piece.size())));
  CHECK(answer(shop.target(), "SELECT string_agg(concat_ws(' ', i, length(v)), ',' ORDER BY i) FROM after") == fmt::format("1 {},2 1000,3 1000", 300 * piece.size()));
}
