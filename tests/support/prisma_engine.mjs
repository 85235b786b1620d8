// Drives Prisma's schema engine as its CLI does, for the tests of interoperation:
//   DATABASE_URL=… prisma_engine.mjs apply|diagnose|resolve-applied NAME|resolve-rolled-back NAME  MIGRATIONS_FOLDER
// Prints one JSON document: the engine's answer, or {"error": {code, message}} with exit 1.
import { readFileSync, readdirSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { createRequire } from 'node:module'

const modules = process.env.CODOPS_PRISMA_MODULES
const require = createRequire(join(modules, 'x.js'))
const { PrismaPg } = require('@prisma/adapter-pg')
const { bindMigrationAwareSqlAdapterFactory } = require('@prisma/driver-adapter-utils')
const folder = join(modules, '@prisma/schema-engine-wasm')
const engine = await import(join(folder, 'schema_engine_bg.js'))
const compiled = new WebAssembly.Module(readFileSync(join(folder, 'schema_engine_bg.wasm')))
const instance = new WebAssembly.Instance(compiled, { './schema_engine_bg.js': engine })
engine.__wbg_set_wasm(instance.exports)
instance.exports.__wbindgen_start()

const [command, ...rest] = process.argv.slice(2)
const base = rest.at(-1)

function migrationsList() {
  const lockfile = join(base, 'migration_lock.toml')
  const directories = readdirSync(base, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort((a, b) => a.localeCompare(b))
  return {
    baseDir: base,
    lockfile: { path: 'migration_lock.toml', content: existsSync(lockfile) ? readFileSync(lockfile, 'utf8') : null },
    shadowDbInitScript: '',
    migrationDirectories: directories.map((path) => {
      const file = join(base, path, 'migration.sql')
      const content = existsSync(file)
        ? { tag: 'ok', value: readFileSync(file, 'utf8') }
        : { tag: 'error', value: `no ${file}` }
      return { path, migrationFile: { path: 'migration.sql', content } }
    }),
  }
}

const url = new URL(process.env.DATABASE_URL)
const schema = url.searchParams.get('schema') ?? 'public'
url.searchParams.delete('schema')
const factory = new PrismaPg({ connectionString: url.toString(), max: 1 }, { schema })

// The adapter cuts scripts at every ';'; the engine's own drivers send them whole.
const whole = (adapter) => {
  adapter.executeScript = async (script) => {
    try {
      await adapter.client.query(script)
    } catch (error) {
      adapter.onError(error)
    }
  }
  return adapter
}
for (const name of ['connect', 'connectToShadowDb']) {
  const original = factory[name].bind(factory)
  factory[name] = async () => whole(await original())
}

const filters = { externalTables: [], externalEnums: [] }
const datamodel = 'datasource db {\n  provider = "postgresql"\n}\n'
try {
  const driver = await engine.SchemaEngine.new({ datamodels: [['schema.prisma', datamodel]] }, () => {}, bindMigrationAwareSqlAdapterFactory(factory))
  let answer
  if (command === 'apply') answer = await driver.applyMigrations({ migrationsList: migrationsList(), filters })
  else if (command === 'diagnose')
    answer = await driver.diagnoseMigrationHistory({ migrationsList: migrationsList(), optInToShadowDatabase: false, filters })
  else if (command === 'resolve-applied')
    answer = await driver.markMigrationApplied({ migrationsList: migrationsList(), migrationName: rest[0] })
  else if (command === 'resolve-rolled-back') answer = await driver.markMigrationRolledBack({ migrationName: rest[0] })
  else throw new Error(`no such command: ${command}`)
  console.log(JSON.stringify(answer ?? {}))
  process.exit(0)
} catch (error) {
  const text = String(error?.message ?? error)
  console.log(JSON.stringify({ error: { code: error?.code ?? error?.error_code ?? (text.match(/P\d{4}/) ?? [''])[0], message: text } }))
  process.exit(1)
}
