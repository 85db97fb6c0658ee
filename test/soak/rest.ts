/** At rest: nobody writes, everything is processed. Then every answer has to be what the database holds. */
import { pause } from '../../src/runtime/backoff.ts'
import { nowUs, type At } from '../history/record.ts'
import { assertNothingStale, caughtUp, type JudgedSystem } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import type { SoakContext } from './context.ts'
import { readHttp, readRaw, readSdk, readSql } from './readers.ts'

const RECOVERY_MS = 120_000

/** Writers have been told to wait. @throws if the consumers do not catch up, or `trackops verify` finds something */
export async function checkAtRest(soak: SoakContext, site: JudgedSystem, random: () => number): Promise<void> {
  // Who was let through before the gate closed begins in the next moment.
  await pause(50)
  await waitFor(() => soak.writesUnderWay.count === 0, { what: 'writes to end', timeoutMs: RECOVERY_MS })
  await caughtUp(site, RECOVERY_MS)
  // Orders with items have other writers, which answer later.
  const rows = soak.rows.watched().filter(({ isOrdered }) => !isOrdered)
  const invokedUs = nowUs()
  const found = await soak.sql.unsafe<{ id: string; at: At }[]>(
    `select id::text, (extract(epoch from updated_at) * 1000000)::bigint::float8 as at from orders where id = any($1::text::uuid[])`,
    [`{${rows.map(({ id }) => id).join(',')}}`],
  )
  const completedUs = nowUs()
  const at = new Map(found.map((row) => [row.id, row.at]))
  for (const { id } of rows) soak.record({ op: 'truth', row: id, at: at.get(id) ?? 'gone', invokedUs, completedUs })
  for (const row of rows) {
    await readHttp(soak, row, random)
    await readSdk(soak, row, random)
  }
  await readRaw(soak)
  await readSql(soak)
  await assertNothingStale(site)
}
