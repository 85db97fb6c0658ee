import type { Sql } from 'postgres'

import { type CompiledViews, compileViews } from '../cache/compiled-view.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { createPostgresPool, type PostgresPoolOptions } from '../runtime/postgres.ts'
import { fromPostgres } from '../runtime/postgres-errors.ts'
import { readSecret } from '../runtime/secrets.ts'
import { readSettings } from '../runtime/settings.ts'
import { readTlsFiles, type TlsMaterial, tlsReason } from '../runtime/tls.ts'
import type { DatabaseConfig } from './define-config.ts'
import type { KafkaConnection } from './kafka-clients.ts'
import type { LoadedConfig } from './load-config.ts'
import { connectRedis, createRedisClient, type RedisClient, withoutSecret } from './redis-client.ts'

/** Where the servers are: given by the environment, or the embedded ones. */
export interface ServerUrls {
  readonly source: string
  readonly redis: string
  /** Authorities and client certificate for a `rediss://` URL. */
  readonly redisTls?: TlsMaterial | undefined
  /** By the names under `databases` in the configuration. */
  readonly databases: Readonly<Record<string, string>>
}

/** What a command that looks at a system needs: its configuration, its database, its Redis. */
export interface Connections {
  readonly loaded: LoadedConfig
  /** Distributed mode: its brokers. Nothing is connected before somebody asks. */
  readonly kafka?: KafkaConnection | undefined
  readonly urls: ServerUrls
  readonly views: CompiledViews
  readonly sql: Sql
  readonly redis: RedisClient
  close(): Promise<void>
}

/** @throws TrackOpsError POSTGRES_UNREACHABLE, POSTGRES_REFUSED, REDIS_UNREACHABLE, CONFIG_INVALID */
export async function openConnections(
  loaded: LoadedConfig,
  urls: ServerUrls,
  log: Logger,
  kafka?: KafkaConnection,
): Promise<Connections> {
  const views = compileViews(loaded.config.views, { keyPrefix: loaded.config.cache?.keyPrefix })
  const sql = await connectPostgres(urls.source, { applicationName: 'trackops', maxConnections: 4 })
  const redis = createRedisClient(urls.redis, { name: 'trackops', log, tls: urls.redisTls })
  try {
    await connectRedis(redis, urls.redis)
  } catch (error) {
    await sql.end({ timeout: 1 })
    throw error
  }
  return {
    loaded,
    kafka,
    urls,
    views,
    sql,
    redis,
    async close() {
      redis.destroy()
      await sql.end({ timeout: 5 })
    },
  }
}

/** A pool that has answered once. @throws TrackOpsError saying which server refused, and how */
export async function connectPostgres(url: string, options: PostgresPoolOptions): Promise<Sql> {
  let sql: Sql
  try {
    sql = createPostgresPool(url, options)
  } catch (error) {
    if (error instanceof TrackOpsError) throw error
    throw new TrackOpsError('CONFIG_INVALID', `not a PostgreSQL URL: ${withoutSecret(url)}`, { cause: error })
  }
  try {
    await sql`select 1`
    return sql
  } catch (error) {
    await sql.end({ timeout: 1 })
    const known = fromPostgres(error, `connecting to ${withoutSecret(url)}`)
    throw known instanceof TrackOpsError
      ? known
      : new TrackOpsError('POSTGRES_REFUSED', `cannot use ${withoutSecret(url)}${why(error)}`, { cause: error })
  }
}

function why(error: unknown): string {
  const reason = tlsReason(error, 'sslrootcert')
  return reason === null ? '' : `: ${reason}`
}

/** The variable's URL, or that in the file of `<variable>_FILE`, if one is set, else the database of that name in the embedded server. */
export function databaseUrl(
  database: DatabaseConfig,
  env: NodeJS.ProcessEnv,
  embeddedPostgresPort: number,
): { readonly url: string; readonly isEmbedded: boolean } {
  const given = readSecret(env, database.urlVariable)
  if (given !== undefined) return { url: given, isEmbedded: false }
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${embeddedPostgresPort}/${database.embeddedName}`,
    isEmbedded: true,
  }
}

/** What the environment and the defaults say, without starting anything. */
export function serverUrls(
  loaded: LoadedConfig,
  env: NodeJS.ProcessEnv,
  ports: { readonly postgres: number; readonly redis: number },
): ServerUrls {
  const databases = Object.entries(loaded.config.databases ?? {}).map(
    ([name, database]) => [name, databaseUrl(database, env, ports.postgres).url] as const,
  )
  const redis = readSecret(env, 'REDIS_URL') ?? `redis://127.0.0.1:${ports.redis}/0`
  return {
    source: databaseUrl(loaded.config.source, env, ports.postgres).url,
    redis,
    redisTls: redisTls(redis, env),
    databases: Object.fromEntries(databases),
  }
}

function redisTls(url: string, env: NodeJS.ProcessEnv): TlsMaterial | undefined {
  const { redisTlsCaFile, redisTlsCertFile, redisTlsKeyFile } = readSettings(env)
  const named = (setting: string, file: string | undefined) => (file === undefined ? undefined : { setting, file })
  const files = {
    ca: named('REDIS_TLS_CA_FILE', redisTlsCaFile),
    cert: named('REDIS_TLS_CERT_FILE', redisTlsCertFile),
    key: named('REDIS_TLS_KEY_FILE', redisTlsKeyFile),
  }
  const given = files.ca ?? files.cert ?? files.key
  if (given === undefined) return undefined
  if (url.startsWith('rediss:')) return readTlsFiles(files)
  throw new TrackOpsError(
    'CONFIG_INVALID',
    `${given.setting} is set, but REDIS_URL asks for no TLS: write rediss:// there, or unset it.`,
  )
}
