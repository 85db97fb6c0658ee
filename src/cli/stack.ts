import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { keepStack, stopKeptStack } from '../roles/stack/keep-stack.ts'
import { type ServerStatus, type StackStatus, stackStatus } from '../roles/stack/stack-status.ts'
import { stackDirectory } from '../roles/stack/start-stack.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { readSettings } from '../runtime/settings.ts'
import { DEFAULT_DATA_DIRECTORY } from './config-file.ts'
import type { CliIo } from './io.ts'

export const STACK_USAGE = `trackops stack up | down | status [--data DIR] [--json]

A Kafka broker and a Kafka Connect worker with Debezium's PostgreSQL connector on this machine, without Docker. Needs Java 17, and Maven
once: the jars come from Maven Central and are kept in ~/.cache/trackops.

  up           starts what does not run yet, and returns when both answer; they go on until:
  down         stops both; their data stays
  status       what runs, and the connectors with their tasks
  --data DIR   where data and logs are kept (below DIR/stack); default .trackops/ beside trackops.config.ts
  --json       for status: one JSON document

Exit status of status: 0 all of it runs and no connector has failed, 1 it does not.
`

export async function stack(argv: string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      data: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    io.stdout.write(STACK_USAGE)
    return 0
  }
  const [action, ...rest] = positionals
  const directory = stackDirectory(values.data === undefined ? DEFAULT_DATA_DIRECTORY : resolve(io.cwd, values.data))
  if (rest.length === 0 && !(values.json && action !== 'status')) {
    if (action === 'up') return await up(directory, io)
    if (action === 'down') return await down(directory, io)
    if (action === 'status') return await status(directory, values.json, io)
  }
  throw new TrackOpsError('USAGE', 'stack takes one of up, down and status; --json belongs to status.')
}

async function up(directory: string, io: CliIo): Promise<number> {
  const settings = readSettings(io.env)
  const keeping = keepStack({
    directory,
    ports: { kafka: settings.kafkaPort, controller: settings.kafkaControllerPort, connect: settings.connectPort },
    env: io.env,
    cacheDirectory: settings.cacheDirectory,
    say: (line) => io.stderr.write(`trackops: ${line}\n`),
    signal: io.signal,
  })
  try {
    const { endpoints } = await keeping
    for (const { name, url } of endpoints) io.stdout.write(`${name.padEnd(18)} ${url}\n`)
    return 0
  } catch (error) {
    if (!io.signal.aborted) throw error
    io.stderr.write('trackops: interrupted; what was started is stopped\n')
    return 130
  }
}

async function down(directory: string, io: CliIo): Promise<number> {
  const didRun = await stopKeptStack(directory)
  io.stdout.write(didRun ? 'stopped\n' : 'nothing was running\n')
  return 0
}

async function status(directory: string, isJson: boolean, io: CliIo): Promise<number> {
  const current = await stackStatus(directory)
  io.stdout.write(isJson ? `${JSON.stringify(current, null, 2)}\n` : describe(current))
  return current.isRunning ? 0 : 1
}

function describe({ kafka, connect, connectors }: StackStatus): string {
  const lines = [
    line('Kafka', kafka),
    line('Kafka Connect', connect),
    ...(connectors ?? []).map(
      ({ name, state, tasks }) =>
        `${'connector'.padEnd(18)} ${name}: ${state}${tasks
          .map((task) => `, task ${task.id} ${task.state}${task.error === null ? '' : ` (${task.error})`}`)
          .join('')}`,
    ),
    ...(connectors?.length === 0 ? ['no connector'] : []),
  ]
  return `${lines.join('\n')}\n`
}

function line(name: string, { state, url, pid }: ServerStatus): string {
  return `${name.padEnd(18)} ${url === null ? state : `${url} ${state}, process ${pid}`}`
}
