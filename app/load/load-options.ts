import { parseArgs } from 'node:util'

import { TrackOpsError } from '../../src/index.ts'

export interface LoadOptions {
  /** Operations a second that are begun, whether or not the ones before have ended (open loop). */
  readonly ratePerSecond: number
  /** 0: until stopped. */
  readonly seconds: number
  readonly keys: 'zipf' | 'uniform'
}

/** 200/s: what a laptop serves beside everything else, and enough to see the cache work. */
export const DEFAULT_LOAD = { ratePerSecond: 200, seconds: 30, keys: 'zipf' } as const satisfies LoadOptions

const MAX_RATE_PER_SECOND = 100_000
const MAX_SECONDS = 30 * 86_400

export const LOAD_HELP = `trackops load [--rate N] [--seconds N] [--keys zipf|uniform]

Realistic traffic through the services: customers create, read, list, move on and cancel orders, and every
answer is checked for staleness. Exits 1 if a stale read was seen or nothing answered.

  --rate N        operations begun a second, 1 to ${MAX_RATE_PER_SECOND} (default ${DEFAULT_LOAD.ratePerSecond})
  --seconds N     how long, 0 for until Ctrl-C (default ${DEFAULT_LOAD.seconds})
  --keys KIND     which orders are asked for: zipf, few of them most of the time, or uniform (default ${DEFAULT_LOAD.keys})
  --help          this text

The order service is looked for at http://127.0.0.1:8081, another port with TRACKOPS_ORDER_PORT, another place with
TRACKOPS_ORDER_URL.
`

/** 'help', or what to do. @throws TrackOpsError USAGE */
export function parseLoadOptions(argv: readonly string[]): LoadOptions | 'help' {
  const { values } = parse(argv)
  if (values.help) return 'help'
  const keys = values.keys ?? DEFAULT_LOAD.keys
  if (keys !== 'zipf' && keys !== 'uniform') throw usage('--keys is zipf or uniform')
  return {
    ratePerSecond: numberOf('--rate', values.rate, { min: 1, max: MAX_RATE_PER_SECOND }) ?? DEFAULT_LOAD.ratePerSecond,
    seconds: numberOf('--seconds', values.seconds, { min: 0, max: MAX_SECONDS }) ?? DEFAULT_LOAD.seconds,
    keys,
  }
}

/** Where the order service is. @throws TrackOpsError CONFIG_INVALID */
export function orderServiceUrl(env: Readonly<Record<string, string | undefined>>): URL {
  const text = env.TRACKOPS_ORDER_URL || `http://127.0.0.1:${env.TRACKOPS_ORDER_PORT || '8081'}`
  const url = URL.parse(text)
  if (url?.protocol === 'http:') return url
  throw new TrackOpsError('CONFIG_INVALID', `${JSON.stringify(text)} is no http address of an order service`)
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        rate: { type: 'string' },
        seconds: { type: 'string' },
        keys: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (cause) {
    const [line = 'unknown option'] = cause instanceof Error ? cause.message.split('\n', 1) : []
    throw usage(line, cause)
  }
}

function numberOf(name: string, text: string | undefined, range: { min: number; max: number }): number | undefined {
  if (text === undefined) return undefined
  const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (number >= range.min && number <= range.max) return number
  throw usage(`${name} is a number from ${range.min} to ${range.max}`)
}

function usage(message: string, cause?: unknown): TrackOpsError {
  return new TrackOpsError('USAGE', `trackops load: ${message}`, { cause })
}
