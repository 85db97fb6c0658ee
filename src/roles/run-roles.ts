import { describeError, TrackOpsError } from '../runtime/errors.ts'
import { createLogger } from '../runtime/logger.ts'
import type { ServerUrls } from './connections.ts'
import { startSystem } from './system.ts'
import { aborted, untilReady } from './until-ready.ts'
import type { UpOptions } from './up.ts'

/** Roles that share one slot where there is no Kafka between them. */
export const STREAM_ROLES = ['capture', 'order-event-consumer', 'cache-invalidator', 'cache-warmer'] as const

export interface RunOptions extends Omit<UpOptions, 'dataDirectory' | 'isReset' | 'seedCount' | 'complain'> {
  readonly roles: readonly string[]
  readonly urls: ServerUrls
}

/** @throws TrackOpsError USAGE, saying which roles there are or what has to be named together */
export function decideRoles(
  named: readonly string[],
  serviceNames: readonly string[],
): { readonly withStream: boolean; readonly withConsole: boolean; readonly services: readonly string[] } {
  const known = [...STREAM_ROLES, ...serviceNames, 'console']
  if (named.length === 0) throw new TrackOpsError('USAGE', `name at least one role: ${known.join(', ')}.`)
  const unknown = named.find((role) => !known.includes(role))
  if (unknown !== undefined) {
    throw new TrackOpsError('USAGE', `there is no role ${JSON.stringify(unknown)}; there are ${known.join(', ')}.`)
  }
  const stream = STREAM_ROLES.filter((role) => named.includes(role))
  if (stream.length > 0 && stream.length < STREAM_ROLES.length) {
    const missing = STREAM_ROLES.filter((role) => !named.includes(role))
    throw new TrackOpsError(
      'USAGE',
      `without Kafka the consumers share the capture's process and its one replication slot, which is acked up to the slowest of them: ` +
        `name ${missing.join(', ')} as well, or none of them.`,
    )
  }
  return {
    withStream: stream.length > 0,
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
  )
  const log = createLogger(options.logLevel)
  const system = await startSystem(log, {
    loaded,
    urls: options.urls,
    env,
    host,
    consolePort: roles.withConsole ? options.ports.console : undefined,
    withStream: roles.withStream,
    services: roles.services,
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
