#include "lib/health/silence.hpp"

namespace codops::health {
namespace {

bool is_command(const Check& check) { return std::holds_alternative<CommandCheck>(check.what); }

Status status_of(const Check& check, const Silence& silence) {
  const bool did_not_tell = silence.stage == io::Stage::dns || !silence.waits_for.empty() || std::holds_alternative<AskedCheck>(check.what);
  return did_not_tell ? Status::unknown : Status::fail;
}

// Before any stage was entered.
io::Stage stage_of(const Silence& silence) { return silence.waits_for.empty() ? silence.stage : io::Stage::none; }

std::string message_of(const Check& check, const Silence& silence, const std::string& when) {
  if (is_command(check)) return "it did not end " + when;
  if (!silence.waits_for.empty()) return silence.waits_for + " was not read " + when;
  switch (silence.stage) {
    case io::Stage::dns: return "the name server did not answer " + when;
    case io::Stage::connect: return "no connection " + when;
    case io::Stage::tls: return "the TLS handshake did not end " + when;
    case io::Stage::body: return "the body did not end " + when;
    default: return "no answer " + when;
  }
}

std::string message_of_cut(const Check& check, const Silence& silence, const std::string& when) {
  if (is_command(check)) return "it had not ended " + when;
  if (!silence.waits_for.empty()) return silence.waits_for + " was not read " + when;
  return silence.stage == io::Stage::dns ? "the name was not looked up " + when : "cut in stage " + std::string{io::to_string(silence.stage)} + " " + when;
}

std::string hint_of(const Check& check, const Silence& silence) {
  if (is_command(check)) return "run it by hand, or give it longer: --check-timeout, in codops.yaml timeout";
  if (!silence.waits_for.empty()) return "look at it: a pipe that nobody writes to, or a file server that is gone";
  switch (silence.stage) {
    case io::Stage::dns: return "check /etc/resolv.conf and the network of this machine";
    case io::Stage::connect: return "check the address, a firewall, and that the host is up";
    case io::Stage::tls: return "check that the port speaks TLS, and the load of the server";
    case io::Stage::body: return "the server hangs in the middle of its answer: see its log";
    default: return "the server accepts but does not answer: see its log, or give it longer: --check-timeout";
  }
}

}  // namespace

Finding silent(const Check& check, const Silence& silence, const std::string& when) {
  return {status_of(check, silence), stage_of(silence), message_of(check, silence, when), hint_of(check, silence), {}};
}

Finding cut(const Check& check, const Silence& silence, const std::string& when, bool had_its_turn) {
  return {had_its_turn ? status_of(check, silence) : Status::unknown, stage_of(silence), message_of_cut(check, silence, when), hint_of(check, silence), {}};
}

}  // namespace codops::health
