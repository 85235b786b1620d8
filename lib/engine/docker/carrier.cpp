#include "lib/engine/docker/carrier.hpp"

#include <fmt/format.h>

namespace codops::engine::docker {
namespace {

// $1 is the port, the rest are hosts. A connection that is closed at once is all that each attempt needs.
constexpr const char* probe_script = R"(port=$1; shift; found=
has() { command -v "$1" >/dev/null 2>&1; }
for host in "$@"; do
  if has socat; then found=1; socat -u /dev/null "TCP:$host:$port" >/dev/null 2>&1 && { echo "socat $host"; exit 0; }; fi
  if has perl; then found=1; perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new(PeerAddr=>$ARGV[0],PeerPort=>$ARGV[1],Timeout=>5)' "$host" "$port" 2>/dev/null && { echo "perl $host"; exit 0; }; fi
  if has bash; then found=1; bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$host" "$port" 2>/dev/null && { echo "bash $host"; exit 0; }; fi
  if has nc; then found=1; nc -w 1 "$host" "$port" </dev/null >/dev/null 2>&1 && { echo "nc $host"; exit 0; }; fi
done
[ -n "$found" ] && exit 98
exit 97
)";

// Neither side's end may leave a process behind in the container: whoever ends first ends the other. Both are waited for: an orphan would
// become a child of the container's first process, and a PostgreSQL that is this process takes an unknown child that ended by a signal
// for a crash of its own, and restarts all of its sessions.
constexpr const char* bash_script =
    R"(exec 3<>"/dev/tcp/$0/$1" 4<&0 || exit 98; cat <&3 & cat <&4 >&3 & wait -n; kill $(jobs -p) 2>/dev/null; wait; exit 0)";

constexpr const char* perl_script = R"(use IO::Socket::INET; use IO::Select;
my $s = IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Timeout => 10) or exit 98;
my $sel = IO::Select->new($s, \*STDIN);
while (my @ready = $sel->can_read) {
  for my $from (@ready) {
    my $n = sysread($from, my $data, 65536);
    if (!$n) {
      exit 0 if $from == $s;
      $sel->remove($from); shutdown($s, 1); next;
    }
    my $to = $from == $s ? \*STDOUT : $s;
    for (my $sent = 0; $sent < $n;) { my $w = syswrite($to, $data, $n - $sent, $sent); exit 0 unless defined $w; $sent += $w; }
  }
})";

}  // namespace

std::vector<std::string> carrier_probe(std::uint16_t port, const std::vector<std::string>& hosts) {
  std::vector<std::string> argv{"sh", "-c", probe_script, "codops", fmt::format("{}", port)};
  argv.insert(argv.end(), hosts.begin(), hosts.end());
  return argv;
}

std::vector<std::string> carrier_command(std::string_view tool, const std::string& host, std::uint16_t port) {
  const auto number = fmt::format("{}", port);
  if (tool == "socat") return {"socat", "-t", "600", "-", fmt::format("TCP:{}:{}", host, port)};
  if (tool == "bash") return {"bash", "-c", bash_script, host, number};
  if (tool == "perl") return {"perl", "-e", perl_script, host, number};
  if (tool == "nc") return {"nc", host, number};
  return {};
}

}  // namespace codops::engine::docker
