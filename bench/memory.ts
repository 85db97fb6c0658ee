/**
 * How much memory does one large transaction take? TrackOps is a process of its own, a new one each round: what V8 has taken it seldom
 * gives back.
 *
 *   npm run bench -- memory [--rows 200000] [--rounds 3]
 */
import { residentMib } from '../test/support/resident-memory.ts'
import { startEmbeddedSystem } from './embedded-system.ts'
import { type Bench, inScope } from './measure.ts'

export interface MemoryFigures {
  readonly rows: number
  readonly rounds: readonly MemoryRound[]
}

export interface MemoryRound {
  /** Resident, after 1,000 small transactions. */
  readonly idleMib: number
  readonly highestMib: number
  /** From the transaction's start until all of it is applied. */
  readonly seconds: number
}

const SAMPLE_EVERY_MS = 20

export const memory: Bench = async ({ options, print }): Promise<MemoryFigures> => {
  const rows = options.number('rows', 200_000)
  const rounds: MemoryRound[] = []
  for (let round = 0; round < options.number('rounds', 3); round++) {
    const measured = await measureRound(rows)
    print(`  ${rows} rows: ${measured.idleMib} MiB idle, ${measured.highestMib} MiB at most, ${measured.seconds} s`)
    rounds.push(measured)
  }
  return { rows, rounds }
}

function measureRound(rows: number): Promise<MemoryRound> {
  return inScope(async (scope) => {
    const system = await startEmbeddedSystem(scope)
    const { pid, sql } = system
    for (let index = 0; index < 1_000; index++) await sql`insert into orders (customer_id) values (gen_random_uuid())`
    await system.caughtUp()
    const idleMib = residentMib(pid)
    let highestMib = idleMib
    const watching = setInterval(() => (highestMib = Math.max(highestMib, residentMib(pid))), SAMPLE_EVERY_MS)
    scope.after(() => clearInterval(watching))
    const startedMs = performance.now()
    await sql`
      insert into orders (customer_id, total_amount, city)
      select gen_random_uuid(), n % 1000, 'a city with a name of some length' from generate_series(1, ${rows}::int) n`
    await system.caughtUp()
    return { idleMib, highestMib, seconds: Number(((performance.now() - startedMs) / 1000).toFixed(1)) }
  })
}
