import type { Logger } from '../../runtime/logger.ts'
import { createPostgresPool } from '../../runtime/postgres.ts'
import { readSecret } from '../../runtime/secrets.ts'
import { databaseUrl, type ServerUrls, serverUrls } from '../connections.ts'
import type { DatabaseConfig } from '../define-config.ts'
import type { LoadedConfig } from '../load-config.ts'
import type { DataDirectory } from './data-directory.ts'
import { startPostgresServer } from './postgres-server.ts'
import { redisBinary } from './redis-binary.ts'
import { startRedisServer } from './redis-server.ts'
import { createSupervisor, type SupervisedServer } from './supervisor.ts'

export interface EmbeddedServers {
  readonly urls: ServerUrls
  /** What was started, for people: `PostgreSQL` and its URL. */
  readonly started: readonly { readonly name: string; readonly url: string }[]
  /** In the reverse order of their start. */
  stop(): Promise<void>
}

export interface EmbeddedOptions {
  readonly loaded: LoadedConfig
  readonly dataDirectory: DataDirectory
  readonly env: NodeJS.ProcessEnv
  readonly ports: { readonly postgres: number; readonly redis: number }
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

/** Starts the servers whose URL the environment does not give, watches them, and makes the databases. */
export async function startEmbedded(log: Logger, options: EmbeddedOptions): Promise<EmbeddedServers> {
  const { loaded, dataDirectory, env, ports } = options
  const running: SupervisedServer[] = []
  const started: { name: string; url: string }[] = []
  const stop = async (): Promise<void> => {
    for (const server of running.toReversed()) await server.stop()
  }
  const needed = embeddedDatabases(loaded, env, ports.postgres)
  try {
    if (needed.length > 0) {
      const server = await createSupervisor(
        {
          log,
          start: (signal) =>
            startPostgresServer({
              dataDirectory: dataDirectory.path,
              logFile: dataDirectory.logFile('postgres'),
              port: ports.postgres,
              signal: AbortSignal.any([signal, options.signal]),
            }),
        },
        { name: 'PostgreSQL' },
      )
      running.push(server)
      started.push({ name: 'PostgreSQL', url: `postgres://postgres:postgres@127.0.0.1:${server.port}` })
      await createDatabases(server.port, needed)
    }
    if (readSecret(env, 'REDIS_URL') === undefined) {
      const located = await redisBinary({
        softwareDirectory: dataDirectory.softwareDirectory,
        say: options.say,
        searchPath: env['PATH'],
      })
      const server = await createSupervisor(
        {
          log,
          start: (signal) =>
            startRedisServer({
              ...located,
              directory: dataDirectory.redisDirectory,
              logFile: dataDirectory.logFile('redis'),
              port: ports.redis,
              signal: AbortSignal.any([signal, options.signal]),
            }),
        },
        { name: 'Redis' },
      )
      running.push(server)
      started.push({ name: 'Redis', url: `redis://127.0.0.1:${server.port}/0` })
    }
    return { urls: serverUrls(loaded, env, ports), started, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function embeddedDatabases(loaded: LoadedConfig, env: NodeJS.ProcessEnv, port: number): readonly DatabaseConfig[] {
  const all = [loaded.config.source, ...Object.values(loaded.config.databases ?? {})]
  return all.filter((database) => databaseUrl(database, env, port).isEmbedded)
}

async function createDatabases(port: number, databases: readonly DatabaseConfig[]): Promise<void> {
  const sql = createPostgresPool(`postgres://postgres:postgres@127.0.0.1:${port}/postgres`, {
    applicationName: 'trackops-setup',
    maxConnections: 1,
  })
  try {
    for (const { embeddedName } of databases) {
      const [existing] = await sql`select 1 from pg_database where datname = ${embeddedName}`
      if (!existing) await sql`create database ${sql(embeddedName)}`
    }
  } finally {
    await sql.end({ timeout: 5 })
  }
}
