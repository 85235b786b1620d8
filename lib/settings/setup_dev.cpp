#include "lib/settings/setup_dev.hpp"

#include "lib/settings/schema.hpp"
#include "lib/settings/values.hpp"

namespace codops::settings {

std::vector<Key> setup_dev_keys() {
  return {
      {"setup_dev.backend", Type::choice, "auto", "docker",
       "What runs PostgreSQL and Redis. local: the host's packages, privately. auto: docker if an engine answers.",
       {"auto", "docker", "local"}},
      {"setup_dev.directories", Type::list, "", "backend, frontend",
       "Directories with a package.json. Unset: the project's own and those one level below."},
      {"setup_dev.compose_files", Type::list, "", "docker-compose.yml",
       "Of the development stack. Unset: those that docker compose itself finds, else docker-compose.dev.yml or compose.dev.yaml."},
      {"setup_dev.project", Type::text, "", "shop-dev",
       "The development stack's project name, where COMPOSE_PROJECT_NAME is unset. Unset: docker compose's own rule. Never the `project` of a deployed environment."},
      {"setup_dev.generate[].run", Type::argv, "", "npx, prisma, generate", "After the dependencies are installed."},
      {"setup_dev.generate[].directory", Type::text, "", "backend", "Where it runs. Unset: the project directory."},
      {"setup_dev.generate[].inputs", Type::list, "", "prisma/schema.prisma",
       "Files whose change runs it again, beside the lockfile and Prisma's schema."},
      {"setup_dev.generate[].outputs", Type::list, "", "backend/src/generated",
       "Files or folders that it makes: once one is gone it runs again. Prisma's client by itself."},
      {"setup_dev.seed[].run", Type::argv, "", "npm, run, seed", "After the first migration of an empty database."},
      {"setup_dev.seed[].directory", Type::text, "", "backend", "Where it runs. Unset: the project directory."},
      {"setup_dev.build", Type::boolean, "false", "true", "Builds once at the end."},
      {"setup_dev.build_outputs", Type::list, "", "backend/dist",
       "What the builds make: once one is gone, all are built again. Unset: dist, build, out, .next and their like, where a build left them."},
  };
}

SetupDev read_setup_dev(const Values& values) {
  SetupDev setup;
  setup.backend = values.text("backend");
  setup.directories = values.list("directories");
  setup.compose_files = values.list("compose_files");
  setup.project = values.text("project");
  for (const auto& item : values.items("generate")) {
    setup.generate.push_back({values.list(item + ".run"), values.text(item + ".directory"), values.list(item + ".inputs"), values.list(item + ".outputs")});
  }
  for (const auto& item : values.items("seed")) {
    setup.seed.push_back({values.list(item + ".run"), values.text(item + ".directory"), {}, {}});
  }
  setup.build = values.boolean("build");
  setup.build_outputs = values.list("build_outputs");
  return setup;
}

}  // namespace codops::settings
