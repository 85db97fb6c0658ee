import { parseArgs } from 'node:util'

export const USAGE = `Usage: trackops test [--full] [FILTER...]

Checks types, lint and format, then runs every *.test.ts; with --full the *.long.test.ts as well.
With a FILTER only the test files whose path contains one of them are run, and nothing else.`

export interface RunOptions {
  readonly help: boolean
  readonly full: boolean
  readonly filters: readonly string[]
}

/** Or the reason why not, in one line. */
export function parseOptions(argv: readonly string[]): RunOptions | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { help: { type: 'boolean', short: 'h' }, full: { type: 'boolean' } },
    })
    return { help: values.help ?? false, full: values.full ?? false, filters: positionals }
  } catch (error) {
    return error instanceof Error ? `trackops test: ${error.message}` : 'trackops test: bad usage'
  }
}
