/** From arguments to a command, and from what it threw to one line and an exit status. */
import { describeError, TrackOpsError } from '../runtime/errors.ts'
import type { Command } from './commands.ts'
import type { CliIo } from './io.ts'

export interface DispatchOptions {
  readonly commands: readonly Command[]
  readonly version: string
}

/** 0 done, 1 it could not be done, 2 bad usage or a wrong setting: trying again as it is would not help. */
export async function dispatch(argv: readonly string[], io: CliIo, options: DispatchOptions): Promise<number> {
  const [name, ...rest] = argv
  try {
    if (name === undefined) {
      io.stderr.write(overview(options.commands))
      return 2
    }
    if (name === '--version' || name === '-v') {
      io.stdout.write(`${options.version}\n`)
      return 0
    }
    const isHelp = name === '--help' || name === '-h' || name === 'help'
    if (isHelp && rest.length === 0) {
      io.stdout.write(overview(options.commands))
      return 0
    }
    const wanted = isHelp ? (rest[0] ?? '') : name
    const command = options.commands.find((candidate) => candidate.name === wanted)
    if (command === undefined) {
      const kind = wanted.startsWith('-') ? 'option' : 'command'
      throw new TrackOpsError('USAGE', `There is no ${kind} ${JSON.stringify(wanted)}.`)
    }
    const run = await command.load()
    return await run(isHelp ? ['--help'] : rest, io)
  } catch (error) {
    io.stderr.write(`trackops: ${report(error, io.env['TRACKOPS_DEBUG'] === '1')}\n`)
    return statusOf(error)
  }
}

/** One line, unless somebody asked for the stack. */
export function report(error: unknown, isDebug: boolean): string {
  if (isDebug && error instanceof Error && error.stack !== undefined) return error.stack
  const line = describeError(error).replaceAll(/\s*\n\s*/g, ' ')
  if (error instanceof TrackOpsError) return line
  // parseArgs goes on to explain how an argument that begins with a dash is given; nobody who mistyped asks for that.
  if (isParseError(error)) return `${line.split('. ')[0]} [USAGE] See trackops --help.`
  return `unexpected: ${line} (TRACKOPS_DEBUG=1 shows where)`
}

export function statusOf(error: unknown): number {
  const isUsage = error instanceof TrackOpsError && (error.code === 'USAGE' || error.code === 'CONFIG_INVALID')
  return isUsage || isParseError(error) ? 2 : 1
}

function isParseError(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS_')
}

function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  return [
    "trackops: a Redis cache that is never stale; it follows PostgreSQL's own change log.",
    '',
    'Usage: trackops COMMAND [OPTIONS]; trackops COMMAND --help says more',
    '',
    ...commands.map(
      ({ name, usage, summary }) => `  ${name.padEnd(width)}  ${summary}\n  ${' '.repeat(width)}  trackops ${usage}`,
    ),
    '',
    '  --version, --help',
    '',
  ].join('\n')
}
