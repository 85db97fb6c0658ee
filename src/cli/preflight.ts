import { parseArgs } from 'node:util'

import { serverUrls } from '../roles/connections.ts'
import { kafkaConnection } from '../roles/kafka-connection.ts'
import { loadConfig } from '../roles/load-config.ts'
import type { Finding } from '../roles/preflight/finding.ts'
import { preflight as lookAtEverything, type PreflightReport } from '../roles/preflight/preflight.ts'
import { readSettings } from '../runtime/settings.ts'
import { configFile } from './config-file.ts'
import type { CliIo } from './io.ts'

export const PREFLIGHT_USAGE = `trackops preflight [--json]

Looks at everything that has to be right before changes flow: database, publication, slot, tables, views, Redis, clocks, logins that
travel unencrypted, and, where they are set, KAFKA_BROKERS and the Debezium connector of KAFKA_CONNECT_URL. All checks run; each finding comes with its consequence and the command that mends it. Nothing is changed.
Exit status: 0 no error was found, 1 one was.
`

export async function preflight(argv: string[], io: CliIo): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    io.stdout.write(PREFLIGHT_USAGE)
    return 0
  }
  const settings = readSettings(io.env)
  const loaded = await loadConfig(configFile(io))
  const urls = serverUrls(loaded, io.env, { postgres: settings.postgresPort, redis: settings.redisPort })
  const report = await lookAtEverything(loaded, urls, {
    isDistributed: settings.mode === 'distributed',
    connectUrl: settings.kafkaConnectUrl,
    captureDatabaseUrl: settings.captureDatabaseUrl,
    kafka: kafkaConnection(settings),
  })
  const isOk = report.findings.every(({ severity }) => severity !== 'error')
  io.stdout.write(values.json ? `${JSON.stringify({ ok: isOk, ...report }, null, 2)}\n` : describeReport(report))
  return isOk ? 0 : 1
}

const ORDER: readonly Finding['severity'][] = ['error', 'warning', 'info']

function describeReport({ findings, checks }: PreflightReport): string {
  const parts = ORDER.flatMap((severity) => findings.filter((finding) => finding.severity === severity)).map(
    (finding) =>
      `${finding.severity.toUpperCase()} ${finding.id}: ${finding.finding}\n  consequence: ${finding.consequence}\n  mend: ${finding.mend}\n\n`,
  )
  const counts = ORDER.map((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length
    return severity === 'info' ? `${count} info` : `${count} ${severity}${count === 1 ? '' : 's'}`
  })
  return `${parts.join('')}${checks.length} checks ran (${checks.join(', ') || 'none'}): ${counts.join(', ')}\n`
}
