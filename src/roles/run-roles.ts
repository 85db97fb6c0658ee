import { type ConsumerName, CONSUMERS } from '../consume/stream-consumer.ts'
import { describeError, TrackOpsError } from '../runtime/errors.ts'
import { createLogger } from '../runtime/logger.ts'
import type { Settings } from '../runtime/settings.ts'
import type { ServerUrls } from './connections.ts'
import type { KafkaConnection } from './kafka-clients.ts'
import { startSystem } from './system.ts'
import { aborted, untilReady } from './until-ready.ts'
import type { UpOptions } from './up-options.ts'

/** Of the change stream, in the order of the flow. */
export const STREAM_ROLES = ['capture', 'order-event-consumer', 'cache-invalidator', 'cache-warmer'] as const

export interface RunOptions extends Pick<
  UpOptions,
  'loaded' | 'env' | 'host' | 'ports' | 'verifyRateKeysPerSecond' | 'logLevel' | 'version' | 'print' | 'signal'
> {
  readonly mode: Settings['mode']
  readonly kafka: KafkaConnection | undefined
  readonly roles: readonly string[]
  readonly urls: ServerUrls
}

export interface DecidedRoles {
  readonly consumers: readonly ConsumerName[]
  readonly withConsole: boolean
  readonly services: readonly string[]
}

/** @throws TrackOpsError USAGE, saying which roles there are or what has to be named together */
export function decideRoles(
  named: readonly string[],
  serviceNames: readonly string[],
  mode: Settings['mode'],
): DecidedRoles {
  const known = [...STREAM_ROLES, ...serviceNames, 'console']
  if (named.length === 0) throw new TrackOpsError('USAGE', `name at least one role: ${known.join(', ')}.`)
  const unknown = named.find((role) => !known.includes(role))
  if (unknown !== undefined) {
    throw new TrackOpsError('USAGE', `there is no role ${JSON.stringify(unknown)}; there are ${known.join(', ')}.`)
  }
  if (mode === 'distributed' && named.includes('capture')) {
    throw new TrackOpsError(
      'USAGE',
      'with Kafka, Debezium is the capture, in Kafka Connect: trackops connector --register URL installs it. Name the consumers alone.',
    )
  }
  const missing = STREAM_ROLES.filter((role) => !named.includes(role))
  if (mode === 'embedded' && missing.length > 0 && missing.length < STREAM_ROLES.length) {
    throw new TrackOpsError(
      'USAGE',
      `without Kafka the consumers share the capture's process and its one replication slot, which is acked up to the slowest of them: ` +
        `name ${missing.join(', ')} as well, or none of them.`,
    )
  }
  return {
    consumers: CONSUMERS.filter((name) => named.includes(name)),
    withConsole: named.includes('console'),
    services: serviceNames.filter((name) => named.includes(name)),
  }
}

/** The named roles against servers that run elsewhere. */
export async function runRoles(options: RunOptions): Promise<void> {
  const { loaded, env, host, signal } = options
  const roles = decideRoles(
    options.roles,
    (loaded.config.services ?? []).map(({ name }) => name),
    options.mode,
  )
  const log = createLogger(options.logLevel)
  const system = await startSystem(log, {
    mode: options.mode,
    kafka: options.kafka,
    loaded,
    urls: options.urls,
    env,
    host,
    consolePort: roles.withConsole ? options.ports.console : undefined,
    consumers: roles.consumers,
    services: roles.services,
    verifyRateKeysPerSecond: options.verifyRateKeysPerSecond,
    version: options.version,
    signal,
  })
  try {
    await untilReady(system, signal)
    if (!signal.aborted) {
      for (const { name, url } of system.endpoints) options.print(`${name.padEnd(18)} ${url}`)
      options.print('trackops is ready')
    }
    await Promise.race([system.ended, aborted(signal)])
  } catch (error) {
    log.error({ reason: describeError(error) }, 'stopping')
    throw error
  } finally {
    await system.close()
  }
}
