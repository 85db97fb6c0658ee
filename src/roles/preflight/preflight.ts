/**
 * Looks at everything that has to be right before changes flow, and says what is not: finding, consequence, mend. It
 * changes nothing. All checks run whatever the others find; one that cannot run is a finding itself.
 */
import type { Sql } from 'postgres'

import { compileViews } from '../../cache/compiled-view.ts'
import { describeError, TrackOpsError } from '../../runtime/errors.ts'
import { SILENT } from '../../runtime/logger.ts'
import { tlsReason } from '../../runtime/tls.ts'
import { connectPostgres, type ServerUrls } from '../connections.ts'
import { connectApi } from '../connector/connect-api.ts'
import { connectorConfiguration } from '../connector/connector-configuration.ts'
import type { KafkaConnection } from '../kafka-clients.ts'
import type { LoadedConfig } from '../load-config.ts'
import { connectRedis, createRedisClient, type RedisClient, withoutSecret } from '../redis-client.ts'
import { checkCaptureRole } from './check-capture-role.ts'
import { checkClocks } from './check-clocks.ts'
import { checkConnector, chooseConnector, CONNECTOR_NOT_CHECKED, type ConnectContext } from './check-connector.ts'
import { checkDebeziumTables } from './check-debezium-tables.ts'
import { checkEncryption } from './check-encryption.ts'
import { checkKafka } from './check-kafka.ts'
import { checkPublication } from './check-publication.ts'
import { checkQueryViews } from './check-query-views.ts'
import { checkRedis } from './check-redis.ts'
import { checkReplicaIdentity } from './check-replica-identity.ts'
import { checkServer } from './check-server.ts'
import { checkSlot } from './check-slot.ts'
import { checkTables } from './check-tables.ts'
import type { Check, DatabaseContext, Finding } from './finding.ts'
import { byTable, type Requirement, requirementsOf } from './requirements.ts'
import { readTableFacts, type TableFacts } from './table-facts.ts'

const DATABASE_CHECKS = [checkServer, checkTables, checkReplicaIdentity, checkPublication, checkSlot, checkQueryViews]

const SOURCE = { id: 'postgres-unreachable', name: 'PostgreSQL' }
const REDIS = { id: 'redis-unreachable', name: 'Redis', variable: 'REDIS_URL', caSetting: 'REDIS_TLS_CA_FILE' }
const CONNECT = {
  id: 'connect-unreachable',
  name: 'Kafka Connect',
  variable: 'KAFKA_CONNECT_URL',
  starter: './trackops stack up',
}
const DEFAULT_TIMEOUT_MS = 15_000
const PREFLIGHT_POOL = { applicationName: 'trackops preflight', maxConnections: 4 }

export interface PreflightOptions {
  /** Default 15,000: each check asks for little; only one that waits for a lock or a dead server takes long. */
  readonly checkTimeoutMs?: number
  /** Changes travel through Debezium and Kafka. */
  readonly isDistributed?: boolean
  /** Kafka Connect's REST API; not given: its connector is not looked at. */
  readonly connectUrl?: string | undefined
  /** As the connector is to have it; default: the source's. */
  readonly captureDatabaseUrl?: string | undefined
  /** Not given: the brokers are not asked. */
  readonly kafka?: KafkaConnection | undefined
  /** Default Date.now. */
  readonly now?: () => number
}

export interface PreflightReport {
  readonly findings: readonly Finding[]
  /** Names of the checks that ran to their end. */
  readonly checks: readonly string[]
}

/** @throws TrackOpsError CONFIG_INVALID where the views themselves cannot be compiled */
export async function preflight(
  loaded: LoadedConfig,
  urls: ServerUrls,
  options: PreflightOptions = {},
): Promise<PreflightReport> {
  const { checkTimeoutMs: timeoutMs = DEFAULT_TIMEOUT_MS, now = Date.now } = options
  const { config } = loaded
  const views = compileViews(config.views, { keyPrefix: config.cache?.keyPrefix })
  const findings: Finding[] = []
  const checks: string[] = []

  async function run<Context>(check: Check<Context>, context: Context): Promise<void> {
    try {
      findings.push(...(await within(timeoutMs, check.run(context))))
      checks.push(check.name)
    } catch (error) {
      findings.push(couldNotRun(check.name, error))
    }
  }

  const [sql, redis] = await Promise.all([
    open(
      { ...SOURCE, variable: config.source.urlVariable },
      urls.source,
      () => connectPostgres(urls.source, PREFLIGHT_POOL),
      findings,
    ),
    open(REDIS, urls.redis, () => openRedis(urls), findings),
  ])
  for (const [name, database] of Object.entries(config.databases ?? {})) {
    const url = urls.databases[name]
    if (url === undefined) continue
    const server = { id: 'database-unreachable', name: `the database ${name}`, variable: database.urlVariable }
    const other = await open(server, url, () => connectPostgres(url, PREFLIGHT_POOL), findings)
    await other?.end({ timeout: 1 })
  }
  const requirements = requirementsOf(config, views)
  const connect = await openConnect(loaded, urls, options, findings)
  try {
    if (sql) {
      const tables = memoTables(sql, requirements)
      const context: DatabaseContext = { config, views, sql, requirements, tables }
      for (const check of DATABASE_CHECKS) await run(check, context)
      if (options.isDistributed === true || connect) await run(checkDebeziumTables, context)
      if (connect) await run(checkCaptureRole, { ...context, ...connect })
    }
    if (connect) await run(checkConnector, { ...connect, requirements })
    else if (options.isDistributed === true) findings.push(CONNECTOR_NOT_CHECKED)
    if (redis) await run(checkRedis, { redis, timeoutMs })
    if (sql && redis) await run(checkClocks, { sql, redis, timeoutMs, now })
    const { kafka, captureDatabaseUrl } = options
    if (kafka) await run(checkKafka, kafka)
    await run(checkEncryption, { config, urls, captureDatabaseUrl, kafka })
  } finally {
    redis?.destroy()
    await sql?.end({ timeout: 1 })
  }
  return { findings, checks }
}

function memoTables(sql: Sql, requirements: readonly Requirement[]): () => Promise<ReadonlyMap<string, TableFacts>> {
  let tables: Promise<ReadonlyMap<string, TableFacts>> | undefined
  return () => (tables ??= readTableFacts(sql, [...byTable(requirements).keys()]))
}

async function openRedis({ redis, redisTls }: ServerUrls): Promise<RedisClient> {
  const client = createRedisClient(redis, { name: 'trackops-preflight', log: SILENT, tls: redisTls })
  await connectRedis(client, redis)
  return client
}

async function openConnect(
  loaded: LoadedConfig,
  urls: ServerUrls,
  options: PreflightOptions,
  findings: Finding[],
): Promise<ConnectContext | undefined> {
  if (options.connectUrl === undefined) return undefined
  const timeoutMs = options.checkTimeoutMs ?? DEFAULT_TIMEOUT_MS
  const api = connectApi(options.connectUrl, { timeoutMs })
  const ours = connectorConfiguration(loaded.config, {
    databaseUrl: options.captureDatabaseUrl ?? urls.source,
    passwordReference: '',
  })
  const all = await open(CONNECT, api.url, () => api.list(), findings)
  return all && { connectUrl: api.url, ours, running: chooseConnector(all, ours) }
}

interface Server {
  readonly id: string
  readonly name: string
  /** Holds its URL. */
  readonly variable: string
  /** Command that starts one of our own. */
  readonly starter?: string
  /** Names the authorities that its certificate is checked with. Default: as PostgreSQL's URLs do. */
  readonly caSetting?: string
}

async function open<T>(
  server: Server,
  url: string,
  connect: () => Promise<T>,
  findings: Finding[],
): Promise<T | undefined> {
  try {
    return await connect()
  } catch (error) {
    findings.push({
      id: server.id,
      severity: 'error',
      finding: `cannot use ${server.name} at ${withoutSecret(url)}: ${reasonOf(error, server.caSetting ?? 'sslrootcert')}`,
      consequence: `Nothing that needs ${server.name} could be checked, and what uses it does not run.`,
      mend: `Start it (${server.starter ?? './trackops up'} starts one of its own), or set ${server.variable}.`,
    })
    return undefined
  }
}

function reasonOf(error: unknown, caSetting: string): string {
  const ofTls = tlsReason(error, caSetting)
  if (ofTls !== null) return ofTls
  const cause = error instanceof TrackOpsError ? (error.cause ?? error) : error
  return cause instanceof Error ? cause.message || ('code' in cause ? String(cause.code) : cause.name) : String(cause)
}

function couldNotRun(check: string, error: unknown): Finding {
  return {
    id: 'check-failed',
    severity: 'error',
    finding: `the check of ${check} could not run: ${describeError(error)}`,
    consequence: 'What it would have found is not known.',
    mend: 'Remove the cause, then run trackops preflight again.',
  }
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const bound = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TrackOpsError('TIMEOUT', `no answer within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    return await Promise.race([work, bound])
  } finally {
    clearTimeout(timer)
  }
}
