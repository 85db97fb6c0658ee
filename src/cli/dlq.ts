import { parseArgs } from 'node:util'

import { openConnections, serverUrls } from '../roles/connections.ts'
import { type ReplayDeps, replayDeadLetter } from '../roles/dead-letter-replay.ts'
import { loadConfig } from '../roles/load-config.ts'
import { openSystemCache } from '../roles/system-cache.ts'
import { findDeadLetter, listDeadLetters, type StoredDeadLetter } from '../log/dead-letters.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { createLogger } from '../runtime/logger.ts'
import { readSettings } from '../runtime/settings.ts'
import { configFile } from './config-file.ts'
import type { CliIo } from './io.ts'

export const DLQ_USAGE = `trackops dlq list [--json] | show ID | replay ID | replay --all

Dead letters: events set aside because they could not be processed, kept in PostgreSQL. Replaying one of the cache refreshes its keys
from the database; one of a domain event publishes or handles it under the same event id.

  list [--all]   those that wait for somebody; with --all those that were replayed, too
  show ID        one of them, whole
  replay ID      try it again, with --all every one that waits
`

export async function dlq(argv: string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      all: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    io.stdout.write(DLQ_USAGE)
    return 0
  }
  const [action, id, ...rest] = positionals
  if (rest.length > 0) throw new TrackOpsError('USAGE', `dlq: one letter at a time, not ${rest.length + 1}.`)
  if (action === undefined || !['list', 'show', 'replay'].includes(action)) {
    throw new TrackOpsError(
      'USAGE',
      `dlq${action === undefined ? '' : ` ${action}`}: expected list, show ID, replay ID or replay --all.`,
    )
  }
  if (action === 'show' || (action === 'replay' && !values.all)) assertId(id, action)
  const settings = readSettings(io.env)
  const loaded = await loadConfig(configFile(io))
  const log = createLogger(settings.logLevel === 'debug' ? 'debug' : 'error')
  const urls = serverUrls(loaded, io.env, { postgres: settings.postgresPort, redis: settings.redisPort })
  const connections = await openConnections(loaded, urls, log)
  const cache = openSystemCache({ redis: connections.redis, sql: connections.sql, log }, { views: connections.views })
  try {
    const { sql, views } = connections
    if (action === 'list') return list(await listDeadLetters(sql, { includeReplayed: values.all }), values.json, io)
    if (action === 'show') return show(await existing(sql, id ?? ''), io)
    const letters = values.all ? await listDeadLetters(sql) : [await existing(sql, id ?? '')]
    const refresh: ReplayDeps['refresh'] = (keys) => cache.refresh(keys)
    const definitions = loaded.config.events ?? []
    return await replay(letters, { sql, views, definitions, refresh, signal: io.signal }, io)
  } finally {
    cache.close()
    await connections.close()
  }
}

function assertId(id: string | undefined, action: string): void {
  if (id === undefined || !/^\d{1,18}$/.test(id)) {
    throw new TrackOpsError(
      'USAGE',
      `dlq ${action}: expected the number of a dead letter, as \`trackops dlq list\` prints it.`,
    )
  }
}

async function existing(sql: ReplayDeps['sql'], id: string): Promise<StoredDeadLetter> {
  const letter = await findDeadLetter(sql, id)
  if (!letter) throw new TrackOpsError('USAGE', `there is no dead letter ${id}.`)
  return letter
}

function list(letters: readonly StoredDeadLetter[], isJson: boolean, io: CliIo): number {
  if (isJson) {
    io.stdout.write(`${JSON.stringify(letters)}\n`)
    return 0
  }
  for (const letter of letters) {
    const when = letter.replayedAt ? `, replayed ${letter.replayedAt}` : ''
    io.stdout.write(
      `${letter.id}  ${letter.createdAt}  ${letter.consumer}  ${letter.source}  ${letter.errorCode}: ${letter.errorMessage}${when}\n`,
    )
  }
  io.stdout.write(`${letters.length} dead letter${letters.length === 1 ? '' : 's'}\n`)
  return 0
}

function show(letter: StoredDeadLetter, io: CliIo): number {
  io.stdout.write(`${JSON.stringify(letter, null, 2)}\n`)
  return 0
}

async function replay(letters: readonly StoredDeadLetter[], deps: ReplayDeps, io: CliIo): Promise<number> {
  let failures = 0
  for (const letter of letters) {
    const outcome = await attempt(letter, deps)
    if (outcome.kind === 'replayed') io.stdout.write(`${letter.id} replayed\n`)
    else if (outcome.kind === 'requested')
      io.stdout.write(`${letter.id} will be replayed by ${letter.consumer} when it runs\n`)
    else {
      failures++
      io.stdout.write(`${letter.id} failed again: ${outcome.reason}\n`)
    }
  }
  if (letters.length === 0) io.stdout.write('no dead letters\n')
  return failures === 0 ? 0 : 1
}

async function attempt(letter: StoredDeadLetter, deps: ReplayDeps): ReturnType<typeof replayDeadLetter> {
  try {
    return await replayDeadLetter(letter, deps)
  } catch (error) {
    if (error instanceof TrackOpsError && error.retry !== 'never') throw error
    return { kind: 'failed', reason: error instanceof TrackOpsError ? error.message : 'its function threw' }
  }
}
