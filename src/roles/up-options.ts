import type { LogLevel } from '../runtime/logger.ts'
import type { Settings } from '../runtime/settings.ts'
import type { KafkaConnection } from './kafka-clients.ts'
import type { LoadedConfig } from './load-config.ts'

export interface UpOptions {
  readonly mode: Settings['mode']
  /** Distributed mode: where the cluster is; undefined: a stack of our own. */
  readonly kafka: KafkaConnection | undefined
  readonly kafkaConnectUrl: string | undefined
  readonly captureDatabaseUrl: string | undefined
  readonly cacheDirectory: string | undefined
  readonly loaded: LoadedConfig
  readonly env: NodeJS.ProcessEnv
  readonly dataDirectory: string
  readonly isReset: boolean
  /** Sample rows to add before the start; 0 for none. */
  readonly seedCount: number
  readonly ports: {
    readonly postgres: number
    readonly redis: number
    readonly console: number
    readonly kafka: number
    readonly kafkaController: number
    readonly connect: number
  }
  readonly host: string
  readonly verifyRateKeysPerSecond: number
  readonly logLevel: LogLevel
  readonly version: string
  readonly print: (line: string) => void
  readonly complain: (line: string) => void
  readonly signal: AbortSignal
}
