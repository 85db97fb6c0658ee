import type { Sql } from 'postgres'
import type { Registry } from 'prom-client'

import type { CacheReader } from '../cache/reader.ts'
import type { DomainEventBus } from '../log/domain-event.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { listenError } from './console-server.ts'
import type { RunningService, ServiceDefinition } from './service.ts'

export interface ServicesContext {
  readonly log: Logger
  readonly metrics: Registry
  readonly env: NodeJS.ProcessEnv
  readonly host: string
  readonly database: (name: string) => Sql
  readonly cache: CacheReader
  readonly events: DomainEventBus
}

export interface StartedServices {
  readonly endpoints: readonly { readonly name: string; readonly url: string }[]
  readonly close: () => Promise<void>
}

/** All or none: where one can't start, those before it are closed again. */
export async function startServices(
  definitions: readonly ServiceDefinition[],
  context: ServicesContext,
): Promise<StartedServices> {
  const running: { readonly service: RunningService; readonly stop: AbortController }[] = []
  const endpoints: { name: string; url: string }[] = []
  const close = async (): Promise<void> => {
    for (const { service, stop } of running.splice(0).toReversed()) {
      stop.abort()
      await service.close()
    }
  }
  try {
    for (const { name, port: portSetting, start } of definitions) {
      const port = portOf(context.env, portSetting)
      const stop = new AbortController()
      try {
        const service = await start({
          log: context.log.child({ service: name }),
          metrics: context.metrics,
          host: context.host,
          port,
          database: context.database,
          cache: context.cache,
          events: context.events,
          signal: stop.signal,
        })
        running.push({ service, stop })
      } catch (error) {
        stop.abort()
        throw listenError(error, port, name, portSetting.variable)
      }
      endpoints.push({ name, url: `http://${context.host}:${port}` })
    }
    return { endpoints, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** @throws TrackOpsError CONFIG_INVALID */
export function portOf(env: NodeJS.ProcessEnv, setting: ServiceDefinition['port']): number {
  const text = env[setting.variable]
  if (text === undefined || text === '') return setting.default
  const port = Number(text)
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port
  throw new TrackOpsError(
    'CONFIG_INVALID',
    `${setting.variable} is ${JSON.stringify(text)}, expected a port from 1 to 65535`,
  )
}
