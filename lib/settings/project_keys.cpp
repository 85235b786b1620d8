#include "lib/settings/schema.hpp"

namespace codops::settings {

std::vector<Key> project_keys() {
  return {
      {"engine", Type::choice, "auto", "docker",
       "Where the environment runs. auto: docker when there is a compose file, else kubernetes when there is a k8s/.",
       {"auto", "docker", "swarm", "kubernetes"}},
      {"host", Type::text, "", "ssh://deploy@shop.example.com",
       "The engine: unix://, tcp:// or ssh:// address, or context:NAME. Unset: DOCKER_HOST, DOCKER_CONTEXT, the current "
       "context, the local socket."},
      {"compose_files", Type::list, "", "docker-compose.prod.yml",
       "Unset: docker-compose.prod.yml (docker-compose.yml for development), else what compose would find: COMPOSE_FILE of the environment's files or .env (of the shell where env_from_shell lists it), or the usual name with its override."},
      {"env_files", Type::list, "", ".env.production", "Unset: .env.ENVIRONMENT, when it is there; for development else .env. Later files win."},
      {"profiles", Type::list, "", "mail", "Compose profiles that are on."},
      {"project", Type::text, "", "shop",
       "The compose project's name. Unset: compose's own rule. Two environments on one engine need two names."},
      {"version_variable", Type::text, "VERSION", "VERSION",
       "The variable by which the version reaches the compose file: image: shop/backend:${VERSION}."},
      {"images.*", Type::text, "", "ghcr.io/shop/backend:{version}",
       "Instead of a variable: the image of a service, with {version} in it."},
      {"protected", Type::boolean, "false", "true", "Asks before it changes anything; in CI, --yes answers."},
      {"env_from_shell", Type::list, "", "CI_COMMIT_SHA",
       "Variables for which the caller's shell wins over the environment's files."},
      {"stateful", Type::list, "", "search",
       "Services that keep data, beside those with a known database image: never doubled, left alone unless their own "
       "definition changes."},

      {"proxy.service", Type::text, "", "nginx", "The service at the front. Unset: no switch without an outage."},
      {"proxy.upstreams", Type::text, "", "/etc/nginx/upstreams",
       "The directory in the proxy's container that its configuration includes inside http {}: "
       "include /etc/nginx/upstreams/*.conf;"},
      {"proxy.services.*.port", Type::port, "", "3000", "The service's port. Unset: the only one it exposes."},
      {"proxy.services.*.sticky", Type::boolean, "false", "false",
       "Keeps a client on one replica (ip_hash), for Socket.IO without a shared adapter."},

      {"front_door.url", Type::text, "", "https://shop.example.com/health",
       "Where users come in: asked after every switch. Unset: the proxy's first published port."},
      {"front_door.ca", Type::text, "", "certs/ca.pem", "The authority to trust there. Unset: the system's."},
      {"front_door.path", Type::text, "", "/ready", "Unset: the URL's, else the path that readiness has, else /."},
      {"front_door.status", Type::integer, "", "200", "The status that is right. Unset: the one of readiness."},

      {"readiness.*.path", Type::text, "", "/ready",
       "Asked by HTTP until it answers with `status`. Unset: the container's health check."},
      {"readiness.*.port", Type::port, "", "3000", "Unset: as for the proxy."},
      {"readiness.*.status", Type::integer, "200", "200", "The status that means ready."},

      {"timeouts.ready", Type::duration, "60s", "60s", "How long a new container may take to become ready."},
      {"timeouts.drain", Type::duration, "30s", "30s", "How long requests in flight may take after the switch."},
      {"timeouts.stop", Type::duration, "", "10s", "Between SIGTERM and SIGKILL. Unset: stop_grace_period of the service."},
      {"timeouts.pull", Type::duration, "10m", "10m", "For pulling one image."},
      {"timeouts.engine", Type::duration, "30s", "30s", "For one call of the engine's API that has no limit of its own."},
      {"monitor", Type::duration, "10s", "10s",
       "How long the old set stays on guard after the switch; a crash within it moves traffic back."},
      {"keep_releases", Type::integer, "5", "5", "Releases that are kept for rollback, images included."},
      {"old_set", Type::choice, "stopped", "stopped",
       "running: the old set stays up until the next deploy, for a rollback without a boot.", {"stopped", "running"}},

      {"hooks.pre_deploy[].run", Type::argv, "", "./scripts/announce, starting",
       "Before anything changes; a failure stops the deploy. Words of a command, no shell."},
      {"hooks.pre_deploy[].service", Type::text, "", "backend",
       "Runs in a one-off container of this service's new image. Unset: on this machine, in the project directory."},
      {"hooks.pre_deploy[].timeout", Type::duration, "5m", "2m", "Then it is killed and counts as failed."},
      {"hooks.post_deploy[].run", Type::argv, "", "./scripts/announce, done", "After the monitor window."},
      {"hooks.post_deploy[].service", Type::text, "", "backend", "As in pre_deploy."},
      {"hooks.post_deploy[].timeout", Type::duration, "5m", "2m", "As in pre_deploy."},
      {"hooks.on_failure[].run", Type::argv, "", "./scripts/announce, failed", "After everything was undone."},
      {"hooks.on_failure[].service", Type::text, "", "backend", "As in pre_deploy."},
      {"hooks.on_failure[].timeout", Type::duration, "5m", "2m", "As in pre_deploy."},

      {"notify[].type", Type::choice, "", "slack", "What is told.", {"webhook", "slack", "pagerduty", "email"}},
      {"notify[].url_variable", Type::text, "", "SLACK_WEBHOOK_URL",
       "The variable, of the environment's files or the shell, with the URL or key: such a URL is a secret."},
      {"notify[].url", Type::secret, "", "https://hooks.example.com/codops", "The URL itself, when it is no secret."},
      {"notify[].on", Type::list, "", "failure, rollback", "success, failure, rollback. Unset: all."},
      {"notify[].to", Type::list, "", "ops@example.com", "E-mail: who gets it."},
      {"notify[].from", Type::text, "", "codops@example.com", "E-mail: who sends it."},
      {"notify[].smtp", Type::text, "", "smtps://mail.example.com", "E-mail: the server."},

      {"database.service", Type::text, "", "postgres", "Unset: the only service whose image is PostgreSQL."},
      {"database.url_variable", Type::text, "DATABASE_URL", "DATABASE_URL", "The variable with the connection's URL."},
      {"database.name", Type::text, "", "shop", "Unset: the one in the URL."},
      {"database.owner", Type::text, "", "shop", "The role that db init makes. Unset: the user in the URL."},
      {"database.extensions", Type::list, "", "pgcrypto, pg_trgm", "What db init creates."},
      {"redis.service", Type::text, "", "redis", "Unset: the only service whose image is Redis or Valkey."},
      {"redis.url_variable", Type::text, "REDIS_URL", "REDIS_URL", "The variable with the connection's URL."},

      {"kubernetes.manifests", Type::text, "k8s", "k8s", "A directory of manifests, or a kustomization."},
      {"kubernetes.kubeconfig", Type::text, "", "~/.kube/shop", "Unset: KUBECONFIG, else ~/.kube/config."},
      {"kubernetes.context", Type::text, "", "shop-prod", "Unset: the current context."},
      {"kubernetes.namespace", Type::text, "", "shop", "Unset: the one in the manifests, else the context's."},
  };
}

const std::vector<Section>& sections() {
  static const std::vector<Section> all{
      {"images", "Images by service, when the compose file has no version variable."},
      {"proxy", "The reverse proxy through which a new version is switched in without a failed request."},
      {"front_door", "How a switch is proven: through the way that users take."},
      {"readiness", "When a new container may have traffic, by service."},
      {"timeouts", "Limits of single steps; --timeout limits the whole run."},
      {"hooks", "Commands around a deploy."},
      {"notify", "Who is told when a deploy ends. A notification that can't be sent never fails a deploy."},
      {"database", "PostgreSQL, for migrate, backup and restore."},
      {"redis", "Redis, for backup and health checks."},
      {"kubernetes", "Only for engine: kubernetes."},
      {"migrate", "Database migrations."},
      {"backup", "Backups: what, where, how many, and how they are proven."},
      {"health", "What `codops health-check` asks. With no checks listed, they are found by convention."},
      {"setup_dev", "What `codops setup-dev` prepares on a developer's machine."},
  };
  return all;
}

}  // namespace codops::settings
