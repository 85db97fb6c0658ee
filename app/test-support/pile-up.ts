import type { Sql } from 'postgres'

import { waitFor } from '../../test/support/wait-for.ts'

/**
 * Makes `work` meet itself: the table is locked, so many runs of it are begun, and it is let go only when each of them waits for
 * something, for the table or for one another. What is not kept apart then is all in the same place at once.
 */
export async function pileUp<T>(sql: Sql, table: string, runs: number, work: () => Promise<T>): Promise<T[]> {
  const begun: Promise<T>[] = []
  await sql.begin(async (tx) => {
    await tx`lock table ${tx(table)} in share row exclusive mode`
    for (let run = 0; run < runs; run += 1) begun.push(work())
    const waiting = async () => {
      // Within a transaction pg_stat_activity shows what it showed first: without those that have connected since.
      await tx`select pg_stat_clear_snapshot()`
      const [row] = await tx<{ count: number }[]>`
        select count(distinct pid)::int as count from pg_locks
        where not granted and pid in (select pid from pg_stat_activity where datname = current_database())`
      return row?.count
    }
    await waitFor(waiting, { what: `${runs} runs to wait`, until: (count) => count === runs })
  })
  return await Promise.all(begun)
}
