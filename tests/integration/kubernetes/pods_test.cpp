#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "cluster.hpp"
#include "lib/engine/kubernetes/containers.hpp"
#include "lib/engine/kubernetes/dialer.hpp"
#include "lib/engine/kubernetes/exec.hpp"
#include "lib/engine/kubernetes/watch.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/fd.hpp"
#include "lib/io/files.hpp"
#include "lib/io/tar.hpp"

using namespace codops;
using namespace codops::tests;
using namespace codops::engine;
using nlohmann::json;

namespace {

const std::string image = "docker.io/codops-test/busybox:1";

// busybox as an archive that `docker save` could have written, loaded into the node.
void import_busybox(const Cluster& cluster) {
  std::vector<io::TarEntry> root;
  for (const char* folder : {"bin", "etc", "tmp"}) root.push_back({.path = folder, .mode = 0755, .kind = io::TarEntry::Kind::directory});
  root.push_back({.path = "etc/passwd", .content = "root:x:0:0:root:/:/bin/sh\n"});
  root.push_back({.path = "bin/busybox", .content = io::read_file("/bin/busybox"), .mode = 0755});
  for (const char* tool : {"sh", "sleep", "cat", "echo", "nc", "true", "tar", "pwd", "printf", "seq", "date", "wc"}) {
    root.push_back({.path = std::string{"bin/"} + tool, .mode = 0777, .kind = io::TarEntry::Kind::symlink, .link_target = "busybox"});
  }
  const auto layer = io::write_tar(root);
  const auto config = json{{"architecture", "amd64"}, {"os", "linux"}, {"config", {{"Cmd", {"sh"}}, {"Env", {"PATH=/bin"}}}}, {"rootfs", {{"type", "layers"}, {"diff_ids", {"sha256:" + io::sha256_hex(layer)}}}}}.dump();
  const auto manifest = json::array({{{"Config", "config.json"}, {"RepoTags", {"codops-test/busybox:1"}}, {"Layers", {"layer.tar"}}}}).dump();
  const io::TemporaryFolder folder;
  const auto file = folder.path() / "image.tar";
  io::write_file(file, io::write_tar({{.path = "config.json", .content = config}, {.path = "layer.tar", .content = layer}, {.path = "manifest.json", .content = manifest}}));
  cluster.kube("import", {file.string()});
}

void run_pod(Cluster& cluster, const std::string& name, const std::vector<std::string>& argv) {
  cluster.api.create({{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", name}, {"namespace", cluster.ns}}},
                      {"spec", {{"restartPolicy", "Never"}, {"terminationGracePeriodSeconds", 0}, {"nodeSelector", {{"kubernetes.io/hostname", "real"}}},
                                {"containers", {{{"name", "main"}, {"image", image}, {"imagePullPolicy", "Never"}, {"command", argv}}}}}}},
                     cluster.limits);
  kubernetes::Watch watch{cluster.api, {{"v1", "Pod", cluster.ns, {.fields = "metadata.name=" + name}}}};
  for (std::string phase; phase != "Running";) {
    const auto event = watch.next(cluster.limits);
    if (event.object) phase = text_at(*event.object, {"status", "phase"});
    REQUIRE(phase != "Failed");
    if (phase == "Succeeded") return;
  }
}

std::string ask_socket(const std::string& path, const std::string& question) {
  const io::Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  std::jthread writer{[&] { io::write_all(socket.get(), question, "the socket"); }};
  std::string answer;
  std::array<char, 4096> chunk;
  while (answer.size() < question.size()) {
    const auto count = ::read(socket.get(), chunk.data(), chunk.size());
    if (count <= 0) break;
    answer.append(chunk.data(), static_cast<std::size_t>(count));
  }
  return answer;
}

}  // namespace

TEST_CASE("kubernetes: commands in a container: streams, exit codes, variables that nobody sees") {
  const auto cluster = Cluster::find("exec", Cluster::Needs::node);
  if (!cluster) return;
  auto& api = cluster->api;
  const auto& limits = cluster->limits;
  import_busybox(*cluster);
  run_pod(*cluster, "box", {"sh", "-c", "echo one; echo two >&2; echo three; sleep 600"});
  std::string out, err;
  const auto to_out = [&out](std::string_view bytes) { out += bytes; };
  const auto to_err = [&err](std::string_view bytes) { err += bytes; };
  kubernetes::Api::ExecSpec spec{.namespace_ = cluster->ns, .pod = "box", .container = {}, .argv = {"sh", "-c", "echo out; echo err >&2; exit 7"}};
  CHECK(api.exec(spec, {}, to_out, to_err, limits) == 7);
  CHECK(out == "out\n");
  CHECK(err == "err\n");

  // The end of stdin arrives; everything comes back.
  std::string large;
  for (int i = 0; i < 400'000; ++i) large += std::to_string(i) + "\n";
  out.clear();
  spec.argv = {"cat"};
  CHECK(api.exec(spec, io::bytes_of(large), to_out, to_err, limits) == 0);
  CHECK(out.size() == large.size());
  CHECK(out == large);
  // As a shell would say it, with the runtime's words.
  err.clear();
  spec.argv = {"no-such-program"};
  CHECK(api.exec(spec, {}, to_out, to_err, limits) == 127);
  CHECK(err.find("executable file not found") != std::string::npos);
  spec.argv = {"sleep", "600"};
  CHECK_THROWS_AS(api.exec(spec, {}, {}, {}, limits.within(Milliseconds{300})), Failure);
  spec.pod = "none";
  CHECK_THROWS_AS(api.exec(spec, {}, {}, {}, limits), kubernetes::ApiError);

  kubernetes::PodContainers containers{api, cluster->ns};
  const auto list = containers.list("", false, limits);
  REQUIRE(list.size() == 1);
  CHECK(list[0].id == cluster->ns + "/box/main");
  CHECK(list[0].name == "box");
  CHECK(list[0].state == target::RunState::running);
  CHECK(list[0].image_id.starts_with("sha256:"));
  out.clear();
  const std::string secret = "t'0\"p $HOME `x` \\n\n\n% é";
  CHECK(containers.exec(list[0].id, {.argv = {"sh", "-c", "cat; printf %s \"$TOKEN\"; pwd; exit 9"}, .env = {{"TOKEN", Secret{secret}}}, .workdir = "/tmp"},
                        {.in = io::bytes_of("in "), .out = to_out}, limits) == 9);
  CHECK(out == "in " + secret + "/tmp\n");
  out.clear();
  CHECK(containers.exec("box", {.argv = {"sh", "-c", "cat; echo \"$A\""}, .env = {{"A", Secret{"b"}}}}, {.out = to_out}, limits) == 0);
  CHECK(out == "b\n");
  CHECK_THROWS_AS(containers.exec("box", {.argv = {"true"}, .user = "postgres"}, {}, limits), Failure);

  CHECK(containers.last_logs("box", 2, limits).size() == 2);
  CHECK(containers.last_logs("box", 100, limits).size() == 3);
  std::string tar;
  containers.read_archive("box", "/etc/passwd", [&](std::string_view bytes) { tar += bytes; }, limits);
  const auto entries = io::read_tar(io::bytes_of(tar), 10'000);
  CHECK(entries.at(0).path == "passwd");
  CHECK(entries.at(0).content.starts_with("root:"));
  CHECK_THROWS_AS(containers.read_archive("box", "/none", [](std::string_view) {}, limits), Failure);

  tar.clear();
  containers.read_image(image, "/etc/", [&](std::string_view bytes) { tar += bytes; }, limits);
  CHECK(io::read_tar(io::bytes_of(tar), 10'000).at(0).path == "etc/");
  CHECK_THROWS_AS(containers.read_image("127.0.0.1:1/none:1", "/etc", [](std::string_view) {}, limits), Failure);
}

TEST_CASE("kubernetes: a log is followed to its end") {
  const auto cluster = Cluster::find("logs", Cluster::Needs::node);
  if (!cluster) return;
  import_busybox(*cluster);
  run_pod(*cluster, "job", {"sh", "-c", "for i in $(seq 200); do echo line $i; done; sleep 1; echo last"});
  std::vector<std::string> lines;
  cluster->api.follow_lines(cluster->ns, "job", "main", [&](std::string_view line, bool) { lines.emplace_back(line); }, cluster->limits);
  REQUIRE(lines.size() == 201);
  CHECK(lines.front() == "line 1");
  CHECK(lines.back() == "last");
}

TEST_CASE("kubernetes: a port of a pod is reached through the API server") {
  const auto cluster = Cluster::find("ports", Cluster::Needs::node);
  if (!cluster) return;
  const auto& limits = cluster->limits;
  import_busybox(*cluster);
  // An echo server: what it reads it sends back.
  run_pod(*cluster, "echo", {"nc", "-ll", "-p", "7777", "-e", "/bin/cat"});
  kubernetes::PodDialer dialer{cluster->api, cluster->ns};
  std::unique_ptr<target::Endpoint> endpoint;
  for (int attempt = 0; !endpoint; ++attempt) {
    try {
      endpoint = dialer.dial("echo", 7777, limits);
    } catch (const Failure& failure) {
      REQUIRE(attempt < 50);  // it has only just started
      CHECK(failure.code() == Exit::unavailable);
    }
  }
  CHECK(endpoint->host().empty());
  const std::string question(2'000'000, 'q');
  CHECK(ask_socket(endpoint->unix_socket(), "hello") == "hello");
  CHECK(ask_socket(endpoint->unix_socket(), question) == question);
  try {
    dialer.dial("echo", 7778, limits);
    FAIL("nobody listens there");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::unavailable);
    MESSAGE(failure.message());
  }
  CHECK_THROWS_AS(dialer.dial("none", 7777, limits), Failure);
}
