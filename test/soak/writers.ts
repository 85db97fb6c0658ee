/** Writes through SQL, behind the services' backs, and through the order service. */
import { isCancellable, nextStep } from '../../app/load/workload.ts'
import { formatToken, type FreshnessToken } from '../../src/cache/token.ts'
import { writeFresh } from '../../src/cache/writes.ts'
import { pause } from '../../src/runtime/backoff.ts'
import { type At, type Door, nowUs, type WriteRecord } from '../history/record.ts'
import type { SoakContext } from './context.ts'
import { readHttp, readSdk } from './readers.ts'
import { atOf, seededUuid, type SoakRow } from './rows.ts'

const AT = `(extract(epoch from updated_at) * 1000000)::bigint::float8 as at`

type Writing = (soak: SoakContext, random: () => number) => Promise<void>

export async function runWriter(
  soak: SoakContext,
  random: () => number,
  choose: Writing,
  pauseMs: number,
): Promise<void> {
  while (!soak.signal.aborted) {
    await soak.mayWrite()
    if (soak.signal.aborted) return
    soak.writesUnderWay.count++
    try {
      await choose(soak, random)
    } finally {
      soak.writesUnderWay.count--
    }
    await pause(random() * 2 * pauseMs, soak.signal)
  }
}

export const writeBySql: Writing = async (soak, random) => {
  const choice = random()
  const row = soak.rows.pick(random)
  if (!row || choice < 0.06) await insert(soak, random)
  else if (choice < 0.72) await update(soak, [row], `S${Math.floor(random() * 1e9)}`)
  else if (choice < 0.82) {
    const others = [row, soak.rows.pick(random) ?? row, soak.rows.pick(random) ?? row]
    // In one order of locks, so that two of them never wait for one another.
    const distinct = [...new Map(others.map((one) => [one.id, one])).values()].toSorted((a, b) =>
      a.id < b.id ? -1 : 1,
    )
    await update(soak, distinct, `M${Math.floor(random() * 1e9)}`)
  } else if (choice < 0.96) await updateAndReadBack(soak, row, random)
  else await remove(soak, row)
}

async function insert(soak: SoakContext, random: () => number): Promise<void> {
  const row: SoakRow = { id: seededUuid(random), customerId: soak.rows.customer(random), isOrdered: false }
  const written = await attempt(soak, [row], 'sql', async () => {
    const [made] = await soak.sql.unsafe<{ at: At }[]>(
      `insert into orders (id, customer_id) values ($1::text::uuid, $2::text::uuid) returning ${AT}`,
      [row.id, row.customerId],
    )
    return new Map([[row.id, made?.at ?? null]])
  })
  // Nobody knows whether it is there: nobody asks for it.
  if (written) soak.rows.add(row)
}

async function update(soak: SoakContext, rows: readonly SoakRow[], status: string): Promise<void> {
  await attempt(soak, rows, 'sql', async () => {
    const made = new Map<string, At | null>()
    await soak.sql.begin(async (tx) => {
      for (const { id } of rows) {
        const [row] = await tx.unsafe<{ at: At }[]>(
          `update orders set status = $2 where id = $1::text::uuid returning ${AT}`,
          [id, status],
        )
        if (row) made.set(id, row.at)
      }
    })
    return made
  })
}

async function updateAndReadBack(soak: SoakContext, row: SoakRow, random: () => number): Promise<void> {
  let token: FreshnessToken | undefined
  const made = await attempt(soak, [row], 'sql', async () => {
    const written = await writeFresh(soak.sql, async (tx) => {
      return await tx.unsafe<{ at: At }[]>(
        `update orders set total_amount = coalesce(total_amount, 0) + 1 where id = $1::text::uuid returning ${AT}`,
        [row.id],
      )
    })
    token = written.token
    return new Map(written.result.map(({ at }) => [row.id, at]))
  })
  const at = made?.get(row.id)
  if (token === undefined || typeof at !== 'number') return
  const fresh = { text: formatToken(token), token, at }
  await (random() < 0.5 ? readSdk(soak, row, random, fresh) : readHttp(soak, row, random, fresh))
}

async function remove(soak: SoakContext, row: SoakRow): Promise<void> {
  soak.rows.remove(row)
  const invokedUs = nowUs()
  soak.record({ op: 'deleting', row: row.id, invokedUs, completedUs: invokedUs })
  await attempt(soak, [row], 'sql', async () => {
    const deleted = await soak.sql.unsafe(`delete from orders where id = $1::text::uuid returning id`, [row.id])
    return new Map(deleted.length > 0 ? [[row.id, 'gone' as const]] : [])
  })
}

/** Records what became of it: rows that the work gives nothing for were not changed. undefined: nobody knows. */
async function attempt(
  soak: SoakContext,
  rows: readonly SoakRow[],
  door: Door,
  work: () => Promise<ReadonlyMap<string, WriteRecord['at']>>,
): Promise<ReadonlyMap<string, WriteRecord['at']> | undefined> {
  const invokedUs = nowUs()
  try {
    const made = await work()
    const completedUs = nowUs()
    for (const [row, at] of made) soak.record({ op: 'write', door, row, outcome: 'ok', at, invokedUs, completedUs })
    return made
  } catch {
    soak.unanswered('write')
    const completedUs = nowUs()
    for (const { id } of rows)
      soak.record({ op: 'write', door, row: id, outcome: 'unknown', at: null, invokedUs, completedUs })
    return undefined
  }
}

interface Answered {
  readonly id: string
  readonly status: string
  readonly updatedAt: string
}

/** Orders with items, which the inventory answers: created, moved on, cancelled. */
export const writeByHttp: Writing = async (soak, random) => {
  const row = soak.rows.pickOrdered(random)
  if (!row || random() < 0.4) await create(soak, random)
  else await moveOn(soak, row, random)
}

async function create(soak: SoakContext, random: () => number): Promise<void> {
  const customerId = soak.rows.customer(random)
  const items = [
    { productId: `SKU-${Math.floor(random() * 5)}`, quantity: 1 + Math.floor(random() * 3), unitPrice: '1.00' },
  ]
  const invokedUs = nowUs()
  const answer = await soak.http
    .send({ method: 'POST', path: '/api/orders', body: { customerId, items } })
    .catch(() => undefined)
  const completedUs = nowUs()
  if (answer?.status !== 201) {
    soak.unanswered('write')
    return
  }
  const { id, updatedAt } = answer.body as Answered
  soak.record({ op: 'shared', row: id, invokedUs, completedUs })
  soak.record({ op: 'write', door: 'http', row: id, outcome: 'ok', at: atOf(updatedAt), invokedUs, completedUs })
  const row = { id, customerId, isOrdered: true }
  soak.rows.add(row)
  if (answer.token !== undefined) await readHttp(soak, row, random, { text: answer.token, at: atOf(updatedAt) })
}

async function moveOn(soak: SoakContext, row: SoakRow, random: () => number): Promise<void> {
  const shown = await soak.http.send({ method: 'GET', path: `/api/orders/${row.id}` }).catch(() => undefined)
  if (shown?.status !== 200) return
  const { status } = shown.body as Answered
  const step = nextStep(status)
  if (!step && !isCancellable(status)) return
  const isCancelled = !step || (isCancellable(status) && random() < 0.3)
  const invokedUs = nowUs()
  const answer = await soak.http
    .send(
      isCancelled
        ? { method: 'DELETE', path: `/api/orders/${row.id}?reason=soak` }
        : { method: 'POST', path: `/api/orders/${row.id}/${step}` },
    )
    .catch(() => undefined)
  const completedUs = nowUs()
  // Somebody else was faster: nothing was written.
  if (answer && answer.status >= 400 && answer.status < 500) return
  const at = answer?.status === 200 ? atOf((answer.body as Answered).updatedAt) : null
  if (at === null) soak.unanswered('write')
  const outcome = at === null ? 'unknown' : 'ok'
  soak.record({ op: 'write', door: 'http', row: row.id, outcome, at, invokedUs, completedUs })
  if (at !== null && answer?.token !== undefined) await readHttp(soak, row, random, { text: answer.token, at })
}
