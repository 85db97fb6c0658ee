import { parseArgs } from 'node:util'

import { PROPERTY_NAMES } from '../change/debezium/options.ts'
import { databaseUrl } from '../roles/connections.ts'
import { loadConfig } from '../roles/load-config.ts'
import { runTail } from '../roles/tail.ts'
import { describeError, TrackOpsError } from '../runtime/errors.ts'
import { readSettings } from '../runtime/settings.ts'
import { configFile } from './config-file.ts'
import type { CliIo } from './io.ts'
import { createLineWriter } from './line-writer.ts'

const HELP = `trackops tail [--database-url URL] [--set NAME=VALUE]...

Prints a database's changes as Debezium would put them on its topics, one JSON line each:
{"topic": ..., "key": ..., "value": ...}. First the rows that are there, then every change, until it is interrupted.
It makes a temporary replication slot and a publication of its own, and drops both at the end. Standard error
says "streaming" when the snapshot is done and the stream has begun.

  --database-url URL   default: the source database of trackops.config.ts
  --set NAME=VALUE     one of Debezium's own properties; may be repeated
  --help

Properties:
${PROPERTY_NAMES.map((name) => `  ${name}`).join('\n')}
`

/** Gives the exit status: 0, 1 (it could not be done), 2 (bad usage). */
export async function tail(argv: string[], io: CliIo): Promise<number> {
  const say = (line: string): void => void io.stderr.write(`${line}\n`)
  try {
    const arguments_ = parseTailArguments(argv)
    if (arguments_.help) {
      io.stdout.write(HELP)
      return 0
    }
    const writer = createLineWriter(io.stdout, io.signal)
    await runTail(
      { write: (lines) => writer.write(lines), say, signal: writer.signal },
      { databaseUrl: arguments_.databaseUrl ?? (await defaultUrl(io)), properties: arguments_.set },
    )
    const failure = writer.failure()
    if (failure) say(`cannot write to standard output: ${failure.message}`)
    return failure ? 1 : 0
  } catch (error) {
    say(`trackops tail: ${oneLine(describeError(error))}`)
    return error instanceof TrackOpsError && error.code === 'USAGE' ? 2 : 1
  }
}

/** @throws TrackOpsError USAGE */
function parseTailArguments(argv: string[]): { help: boolean; databaseUrl: string | undefined; set: string[] } {
  try {
    const { values } = parseArgs({
      args: argv,
      options: {
        'database-url': { type: 'string' },
        set: { type: 'string', multiple: true },
        help: { type: 'boolean', short: 'h' },
      },
    })
    return { help: values.help ?? false, databaseUrl: values['database-url'], set: values.set ?? [] }
  } catch (error) {
    throw new TrackOpsError('USAGE', error instanceof Error ? error.message : 'bad arguments', { cause: error })
  }
}

async function defaultUrl(io: CliIo): Promise<string> {
  const { config } = await loadConfig(configFile(io))
  return databaseUrl(config.source, io.env, readSettings(io.env).postgresPort).url
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ')
}
