// Prisma's own engine, without its command line. One request as JSON on standard input, one answer as JSON.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

const modules = createRequire(join(process.argv[2], 'package.json'))
const load = (name) => import(pathToFileURL(modules.resolve(name)))
const wasm = modules('@prisma/prisma-schema-wasm')
const FILE = 'schema.prisma'
const one = (schema) => ({ files: [{ path: FILE, content: schema }] })
const FILTERS = { externalTables: [], externalEnums: [] }

async function schemaEngine(url, schemas) {
  const bg = await load('@prisma/schema-engine-wasm/schema_engine_bg')
  const file = join(dirname(modules.resolve('@prisma/schema-engine-wasm/schema_engine_bg')), 'schema_engine_bg.wasm')
  const { instance } = await WebAssembly.instantiate(readFileSync(file), { './schema_engine_bg.js': bg })
  bg.__wbg_set_wasm(instance.exports)
  instance.exports.__wbindgen_start()
  const { PrismaPg } = await load('@prisma/adapter-pg')
  const { bindMigrationAwareSqlAdapterFactory } = await load('@prisma/driver-adapter-utils')
  const factory = bindMigrationAwareSqlAdapterFactory(readable(PrismaPg, configured(url)))
  return bg.SchemaEngine.new({ datamodels: schemas }, () => {}, factory)
}

// With a connection string the adapter's shadow database would be the live one: the string wins over its name.
function configured(url) {
  const { hostname, port, username, password, pathname, searchParams } = new URL(url)
  return {
    host: searchParams.get('host') ?? hostname,
    port: Number(searchParams.get('port') ?? port) || 5432,
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)),
  }
}

// The adapter has no word for two types of the catalogue, and takes scripts apart at every semicolon.
const CHAR = 18, NAME = 19, TEXT = 25, CHARACTER = 6
function readable(PrismaPg, config) {
  const factory = new PrismaPg(config)
  const connect = factory.connect.bind(factory)
  factory.connect = async () => repaired(await connect())
  // The adapter's own would drop the shadow database while its sessions are still in it.
  factory.connectToShadowDb = async () => {
    const database = `prisma_shadow_${globalThis.crypto.randomUUID()}`
    const main = await factory.connect()
    await main.executeScript(`CREATE DATABASE "${database}"`)
    const shadow = repaired(await new PrismaPg({ ...config, database }).connect())
    const end = shadow.dispose.bind(shadow)
    shadow.dispose = async () => {
      await end()
      await main.executeScript(`DROP DATABASE "${database}" WITH (FORCE)`)
      await main.dispose()
    }
    return shadow
  }
  return factory
}
function repaired(adapter) {
  const { performIO, queryRaw } = adapter
  adapter.queryRaw = async function (query) {
    let chars = []
    const self = Object.create(this, {
      performIO: { value: async (asked) => {
        const result = await performIO.call(this, asked)
        chars = result.fields.map((field) => field.dataTypeID === CHAR)
        for (const field of result.fields) if ([CHAR, NAME].includes(field.dataTypeID)) field.dataTypeID = TEXT
        return result
      } },
    })
    const found = await queryRaw.call(self, query)
    found.columnTypes = found.columnTypes.map((type, i) => (chars[i] ? CHARACTER : type))
    return found
  }
  if (adapter.executeScript) {
    adapter.executeScript = async (script) => {
      try { await adapter.underlyingDriver().query(script) } catch (error) { adapter.onError(error) }
    }
  }
  if (adapter.startTransaction) {
    const start = adapter.startTransaction.bind(adapter)
    adapter.startTransaction = async (...a) => repaired(await start(...a))
  }
  return adapter
}

const answers = {
  validate: ({ schema }) => {
    wasm.validate(JSON.stringify({ prismaSchema: [[FILE, schema]], noColor: true }))
    return null
  },
  format: ({ schema }) => {
    const params = { textDocument: { uri: `file:///${FILE}` }, options: { tabSize: 2, insertSpaces: true } }
    return JSON.parse(wasm.format(JSON.stringify([[FILE, schema]]), JSON.stringify(params)))[0][1]
  },
  dmmf: ({ schema }) => JSON.parse(wasm.get_dmmf(JSON.stringify({ prismaSchema: [[FILE, schema]], noColor: true }))),
  create: async ({ schema, url }) => diff(url, { tag: 'empty' }, { tag: 'schemaDatamodel', ...one(schema) }),
  diff: async ({ schema, url }) => diff(url, { tag: 'schemaDatasource', configDir: '/', ...one(schema) }, { tag: 'schemaDatamodel', ...one(schema) }),
  diff_migrations: async ({ schema, url, migrations }) =>
    diff(url, { tag: 'migrations', ...listed(migrations) }, { tag: 'schemaDatamodel', ...one(schema) }),
  history: async ({ url, migrations }) => {
    const engine = await schemaEngine(url)
    return engine.diagnoseMigrationHistory({ migrationsList: listed(migrations), optInToShadowDatabase: true, filters: FILTERS })
  },
  apply: async ({ url, migrations }) => {
    const engine = await schemaEngine(url)
    return engine.applyMigrations({ migrationsList: listed(migrations), filters: FILTERS })
  },
  introspect: async ({ url, schema }) => {
    const engine = await schemaEngine(url, [[FILE, schema]])
    const found = await engine.introspect({ schema: one(schema), baseDirectoryPath: '/', force: false, compositeTypeDepth: 0, namespaces: null })
    return { schema: found.schema.files[0].content, warnings: found.warnings }
  },
}

function listed(migrations) {
  return {
    baseDir: '/migrations',
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"' },
    shadowDbInitScript: '',
    migrationDirectories: migrations.map(({ name, script }) => ({
      path: name, migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: script } },
    })),
  }
}

async function diff(url, from, to) {
  const engine = await schemaEngine(url)
  const found = await engine.diff({ from, to, shadowDatabaseUrl: null, script: true, exitCode: null, filters: FILTERS })
  return found.stdout
}

const request = JSON.parse(readFileSync(0, 'utf8'))
try {
  const answer = await answers[request.ask](request)
  process.stdout.write(JSON.stringify({ answer }), () => process.exit(0))
} catch (error) {
  const said = typeof error === 'string' ? error : error.message ?? String(error)
  process.stdout.write(JSON.stringify({ error: said + (error.cause ? ' ' + JSON.stringify(error.cause) : '') }), () => process.exit(0))
}
