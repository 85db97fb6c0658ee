import { parseArgs } from 'node:util'

import type { SoakFault } from './faults.ts'

export interface SoakOptions {
  readonly seconds: number
  readonly seed: number
  readonly mode: 'embedded' | 'distributed'
  /** Where the whole record goes, as JSON lines; undefined: it is only checked. */
  readonly recordFile: string | undefined
  /** Where the system's logs go at the first violation: its directory is gone when the soak is over. */
  readonly logsDirectory: string | undefined
  /** Lines for people. */
  readonly say: (line: string) => void
  /** How often a line is said. */
  readonly lineEverySeconds: number
  /** Default SOAK_FAULTS. */
  readonly faults?: readonly SoakFault[]
}

export const SOAK_USAGE = `npm run soak -- [--minutes N] [--seed S] [--mode embedded|distributed] [--record FILE] [--logs DIR]

Runs a system of its own under load, draws faults at random, and checks all that clients were answered. A line a minute, and a
verdict; exit status 1 if anything was violated. The same seed gives the same operations and the same faults in the same
order; when each of them happens is the machine's.

  --minutes N     how long (default 5)
  --seed S        a whole number (default: of the clock, and printed)
  --mode MODE     embedded (default) or distributed, which needs Java 17
  --record FILE   the whole record, JSON lines: some 150 bytes a read
  --logs DIR      a copy of the system's logs, made at the first violation
`

/** Or the reason why not. */
export function parseSoakOptions(
  argv: readonly string[],
): Omit<SoakOptions, 'say' | 'lineEverySeconds' | 'faults'> | 'help' | Error {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        minutes: { type: 'string', default: '5' },
        seed: { type: 'string', default: String(Date.now() % 1_000_000) },
        mode: { type: 'string', default: 'embedded' },
        record: { type: 'string' },
        logs: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return 'help'
    const minutes = Number(values.minutes)
    if (!(minutes > 0 && minutes <= 10_000)) return new Error(`--minutes ${values.minutes}: expected a number above 0`)
    const seed = Number(values.seed)
    if (!Number.isSafeInteger(seed) || seed < 0) return new Error(`--seed ${values.seed}: expected a whole number`)
    const { mode } = values
    if (mode !== 'embedded' && mode !== 'distributed')
      return new Error(`--mode ${mode}: expected embedded or distributed`)
    return { seconds: minutes * 60, seed, mode, recordFile: values.record, logsDirectory: values.logs }
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}
