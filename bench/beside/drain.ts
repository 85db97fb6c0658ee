/** A backlog in the topic, brought into an empty Redis: how many changes a second? */
import type { Sql } from 'postgres'

import { pause } from '../../src/runtime/backoff.ts'
import type { Contestant } from './contestants.ts'
import type { Servers } from './servers.ts'

export interface Drained {
  readonly changesPerSecond: number
  /** Of the consumers, for 1,000 changes. */
  readonly cpuMsPerThousand: number
  /** From the start of the processes to the first change in Redis. */
  readonly firstAfterMs: number
}

/** A fifth of them inserts in one transaction, the same rows updated twice, the rest inserted one a transaction. */
export async function writeBacklog(sql: Sql, changes: number): Promise<void> {
  const fifth = Math.round(changes / 5)
  await sql`
    insert into orders (customer_id, total_amount, street_address, city, postal_code, country)
    select gen_random_uuid(), nr, nr || ' Main Street', 'Vienna', '1010', 'AT' from generate_series(1, ${fifth}::int) nr`
  await sql`update orders set status = 'CONFIRMED'`
  await sql`update orders set status = 'PROCESSING'`
  await sql.unsafe(`do $$
    begin
      for nr in 1..${changes - 3 * fifth} loop
        insert into orders (customer_id, total_amount, street_address, city, postal_code, country)
        values (gen_random_uuid(), nr, nr || ' Main Street', 'Vienna', '1010', 'AT');
        commit;
      end loop;
    end $$`)
}

/** From the first change that is seen in Redis to the last: joining a group takes the same seconds whoever joins. */
export async function drainOnce(contestant: Contestant, servers: Servers, processes: number): Promise<Drained> {
  await contestant.reset()
  const total = Number([...(await servers.ends()).values()].reduce((sum, end) => sum + end, 0n))
  const startedMs = performance.now()
  for (let number = 0; number < processes; number++) contestant.start(['warmer'])
  let firstMs = 0
  let firstCount = 0
  let cpuBefore = 0
  for (;;) {
    const warmed = await contestant.warmed()
    const now = performance.now()
    if (firstMs === 0 && warmed > 0) {
      firstMs = now
      firstCount = warmed
      cpuBefore = contestant.cpuSeconds()
    }
    if (warmed >= total) break
    if (now - startedMs > 300_000)
      throw new Error(`${contestant.name} has ${warmed} of ${total} changes after 5 minutes`)
    await pause(5)
  }
  const seconds = (performance.now() - firstMs) / 1000
  const cpu = contestant.cpuSeconds() - cpuBefore
  await contestant.stop()
  return {
    changesPerSecond: Math.round((total - firstCount) / seconds),
    cpuMsPerThousand: Number(((cpu * 1e6) / (total - firstCount)).toFixed(1)),
    firstAfterMs: Math.round(firstMs - startedMs),
  }
}
