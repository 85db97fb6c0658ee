import type { Logger } from '../../runtime/logger.ts'
import type { DataDirectory } from '../embedded/data-directory.ts'
import type { KafkaConnection } from '../kafka-clients.ts'
import { resetStack, stackDirectory, startStack } from '../stack/start-stack.ts'
import type { UpOptions } from '../up-options.ts'
import { installConnector } from './install-connector.ts'

/** What stands between database and consumers, as far as `trackops up` looks after it. */
export interface StartedLog {
  readonly kafka: KafkaConnection | undefined
  /** What was started, for people. */
  readonly started: readonly { readonly name: string; readonly url: string }[]
  /** Installs the connector, once the tables are there. */
  connect(sourceUrl: string): Promise<void>
  stop(): Promise<void>
}

/** Embedded: the WAL itself. */
export const NO_LOG: StartedLog = {
  kafka: undefined,
  started: [],
  connect: () => Promise.resolve(),
  stop: () => Promise.resolve(),
}

/** Kafka and Kafka Connect of our own, or the given ones. */
export async function startLog(log: Logger, options: UpOptions, dataDirectory: DataDirectory): Promise<StartedLog> {
  const { loaded, env, ports, signal } = options
  const directory = stackDirectory(dataDirectory.path)
  if (!options.kafka && options.isReset) await resetStack(directory)
  const stack = options.kafka
    ? null
    : await startStack(log, {
        directory,
        ports: { kafka: ports.kafka, controller: ports.kafkaController, connect: ports.connect },
        env,
        cacheDirectory: options.cacheDirectory,
        say: options.complain,
        signal,
      })
  const kafka = options.kafka ?? { brokers: stack?.brokers ?? [] }
  const connectUrl = stack?.connectUrl ?? options.kafkaConnectUrl
  return {
    kafka,
    started: stack?.endpoints ?? [],
    async connect(sourceUrl) {
      // Of a cluster that is given without its Kafka Connect, somebody else looks after the connector.
      if (connectUrl === undefined) return
      const { config } = loaded
      const captureUrl = options.captureDatabaseUrl
      await installConnector({ config, kafka, connectUrl, sourceUrl, captureUrl, signal })
    },
    stop: async () => await stack?.stop(),
  }
}
