import { parseArgs } from 'node:util'

import type { SystemStatus } from '../roles/status.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { readSettings } from '../runtime/settings.ts'
import type { CliIo } from './io.ts'

export const STATUS_USAGE = `trackops status [--json]

Asks the running system (its console's port) for positions, lag, slot, hit rate and dead letters.
Exit status: 0 it is ready, 1 it is not, or does not answer.
`

export async function status(argv: string[], io: CliIo): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  })
  if (values.help) {
    io.stdout.write(STATUS_USAGE)
    return 0
  }
  const settings = readSettings(io.env)
  const current = await fetchStatus(`http://${settings.host}:${settings.consolePort}`)
  io.stdout.write(values.json ? `${JSON.stringify(current, null, 2)}\n` : describe(current))
  return current.isReady ? 0 : 1
}

async function fetchStatus(console_: string): Promise<SystemStatus> {
  try {
    const response = await fetch(`${console_}/api/status`, { signal: AbortSignal.timeout(10_000) })
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    return (await response.json()) as SystemStatus
  } catch (error) {
    throw new TrackOpsError(
      'NOT_RUNNING',
      `no running trackops answers at ${console_}: ${error instanceof Error ? error.message : 'unknown reason'}.`,
      { cause: error },
    )
  }
}

function describe(current: SystemStatus): string {
  const { stream, slot, cache } = current
  const lines = [
    `${current.isReady ? 'ready' : 'NOT READY'}, ${current.mode}, up ${current.upSeconds} s, version ${current.version}`,
    `stream     ${stream.state}${stream.reason ? `: ${stream.reason}` : ''}`,
    ...(current.mode === 'distributed'
      ? []
      : [
          `           received ${stream.receivedLsn ?? '-'}, acked ${stream.ackedLsn ?? '-'}, server ${stream.serverLsn ?? '-'}; lag of capture ${bytes(stream.captureLagBytes)}`,
        ]),
    ...current.consumers.map(
      (consumer) =>
        `consumer   ${consumer.name}: ${consumer.state}, ${placeOf(consumer)}, ` +
        `${consumer.processedChanges} changes${consumer.reason ? `; ${consumer.reason}` : ''}`,
    ),
    slot
      ? `slot       ${slot.name}: ${slot.isActive ? 'active' : 'NOT ACTIVE'}, WAL ${slot.walStatus ?? 'unknown'}, keeps ${bytes(slot.retainedBytes)}`
      : 'slot       none',
    `cache      ${cache.isReachable ? 'reachable' : 'NOT REACHABLE'}${cache.isTrusted ? '' : ', not trusted at the moment'}, ` +
      `hit rate ${cache.hitRatio === null ? '-' : `${(cache.hitRatio * 100).toFixed(1)} %`} ` +
      `(${cache.hits} hits, ${cache.misses} misses, ${cache.bypasses} bypasses), ${cache.keys ?? '-'} keys, ${bytes(cache.usedMemoryBytes)}`,
    `dead       ${current.deadLetters ?? '-'} letters${current.deadLetters ? ' (trackops dlq list)' : ''}`,
    ...current.services.map((service) => `service    ${service.name} ${service.url}`),
  ]
  return `${lines.join('\n')}\n`
}

function placeOf(consumer: SystemStatus['consumers'][number]): string {
  const { partitions, consumerLagMessages, appliedLsn, consumerLagBytes } = consumer
  if (partitions !== null) return `${partitions} partitions, lag ${consumerLagMessages ?? '-'} messages`
  return `applied ${appliedLsn ?? '-'}, lag ${bytes(consumerLagBytes)}`
}

function bytes(count: number | null): string {
  if (count === null) return '-'
  if (count < 1024) return `${count} B`
  return count < 1024 * 1024 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1024 / 1024).toFixed(1)} MiB`
}
