import type { UpOptions } from '../roles/up-options.ts'
import type { Settings } from '../runtime/settings.ts'

/** On which the embedded servers and the console listen. */
export function portsOf(settings: Settings): UpOptions['ports'] {
  return {
    postgres: settings.postgresPort,
    redis: settings.redisPort,
    console: settings.consolePort,
    kafka: settings.kafkaPort,
    kafkaController: settings.kafkaControllerPort,
    connect: settings.connectPort,
  }
}
