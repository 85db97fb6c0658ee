/** Reads through every door. */
import { customerOrders, orderEntity, orderStatus } from '../../app/views.ts'
import { callRedis } from '../../src/cache/redis-call.ts'
import { parseToken } from '../../src/cache/token.ts'
import type { Document } from '../../src/cache/view.ts'
import { pause } from '../../src/runtime/backoff.ts'
import { type At, type Door, nowUs, type ReadRecord } from '../history/record.ts'
import type { SoakContext } from './context.ts'
import { atOf, type SoakRow } from './rows.ts'

/** A write's token, and what it made. */
export interface Fresh {
  readonly text: string
  readonly at: At
}

type Family = 'entity' | 'status' | 'list'
const FAMILIES: readonly Family[] = ['entity', 'status', 'list']
const RAW_TIMEOUT_MS = 2_000

export async function runReader(
  soak: SoakContext,
  random: () => number,
  read: (soak: SoakContext, row: SoakRow, random: () => number) => Promise<void>,
  pauseMs: number,
): Promise<void> {
  while (!soak.signal.aborted) {
    const rows = soak.rows.watched()
    const row = rows[Math.floor(random() * rows.length)]
    if (row) await read(soak, row, random)
    await pause(random() * 2 * pauseMs, soak.signal)
  }
}

export async function readHttp(soak: SoakContext, row: SoakRow, random: () => number, fresh?: Fresh): Promise<void> {
  const family = FAMILIES[Math.floor(random() * FAMILIES.length)] ?? 'entity'
  const invokedUs = nowUs()
  const path =
    family === 'list' ? `customers/${row.customerId}/orders` : `orders/${row.id}${family === 'status' ? '/status' : ''}`
  const answer = await soak.http
    .send({ method: 'GET', path: `/api/${path}`, token: fresh?.text })
    .catch(() => undefined)
  const completedUs = nowUs()
  if (answer?.status !== 200 && answer?.status !== 404) return soak.unanswered('read')
  const times = { door: 'http', source: answer.cache ?? '', invokedUs, completedUs } as const
  if (family !== 'list') {
    const at = answer.status === 404 ? 'absent' : atOf((answer.body as { updatedAt: string }).updatedAt)
    soak.record(readOf(times, family, row, at, fresh))
    return
  }
  const { orders } = answer.body as { orders: readonly { id: string; updatedAt: string }[] }
  recordList(soak, times, row, new Map(orders.map(({ id, updatedAt }) => [id, updatedAt])), fresh)
}

export async function readSdk(soak: SoakContext, row: SoakRow, random: () => number, fresh?: Fresh): Promise<void> {
  const family = FAMILIES[Math.floor(random() * FAMILIES.length)] ?? 'entity'
  const options = fresh ? { token: parseToken(fresh.text) } : {}
  const invokedUs = nowUs()
  try {
    if (family === 'list') {
      const { value, source } = await soak.reader.list(customerOrders, { customer_id: row.customerId }, options)
      const times = { door: 'sdk', source, invokedUs, completedUs: nowUs() } as const
      recordList(soak, times, row, new Map(value.map((one) => [textOf(one, 'id'), textOf(one, 'updatedAt')])), fresh)
      return
    }
    const view = family === 'entity' ? orderEntity : orderStatus
    const { value, source } = await soak.reader.get(view, { id: row.id }, options)
    const times = { door: 'sdk', source, invokedUs, completedUs: nowUs() } as const
    soak.record(readOf(times, family, row, value === null ? 'absent' : atOf(textOf(value, 'updatedAt')), fresh))
  } catch {
    soak.unanswered('read')
  }
}

/** All watched rows at once: one MGET of entities and statuses, and the lists, in one pipeline. As any program in any language reads. */
export async function readRaw(soak: SoakContext): Promise<void> {
  const rows = soak.rows.watched()
  if (rows.length === 0) return
  const byCustomer = Map.groupBy(rows, ({ customerId }) => customerId)
  const customers = [...byCustomer.keys()]
  const keys = rows.flatMap(({ id }) => [`order:entity:${id}`, `order:status:${id}`])
  const invokedUs = nowUs()
  try {
    const [documents, ...lists] = await Promise.all([
      callRedis(soak.redis, ['MGET', ...keys], RAW_TIMEOUT_MS),
      ...customers.map((id) => callRedis(soak.redis, ['HGETALL', `orders:customer:${id}`], RAW_TIMEOUT_MS)),
    ])
    const times = { door: 'raw', invokedUs, completedUs: nowUs() } as const
    for (const [index, text] of (documents as (string | null)[]).entries()) {
      const row = rows[index >> 1]
      const at = text === null ? undefined : updatedAtIn(text)
      if (row && at !== undefined) soak.record(readOf(times, index % 2 === 0 ? 'entity' : 'status', row, at))
    }
    for (const [index, fields] of (lists as string[][]).entries()) {
      if (fields.length === 0) continue
      const members = new Map<string, string>()
      for (let at = 0; at + 1 < fields.length; at += 2) members.set(fields[at] ?? '', fields[at + 1] ?? '')
      for (const row of byCustomer.get(customers[index] ?? '') ?? []) {
        const member = members.get(row.id)
        soak.record(readOf(times, 'list', row, member === undefined ? 'absent' : (updatedAtIn(member) ?? 'absent')))
      }
    }
  } catch {
    soak.unanswered('read')
  }
}

export async function runRawReader(soak: SoakContext, pauseMs: number): Promise<void> {
  while (!soak.signal.aborted) {
    await readRaw(soak)
    await pause(pauseMs, soak.signal)
  }
}

/** What psql would show. */
export async function readSql(soak: SoakContext): Promise<void> {
  const rows = soak.rows.watched()
  const invokedUs = nowUs()
  try {
    const found = await soak.sql.unsafe<{ id: string; at: At }[]>(
      `select id::text, (extract(epoch from updated_at) * 1000000)::bigint::float8 as at from orders where id = any($1::text::uuid[])`,
      [`{${rows.map(({ id }) => id).join(',')}}`],
    )
    const times = { door: 'sql', invokedUs, completedUs: nowUs() } as const
    const at = new Map(found.map((row) => [row.id, row.at]))
    for (const row of rows) soak.record(readOf(times, 'entity', row, at.get(row.id) ?? 'absent'))
  } catch {
    soak.unanswered('read')
  }
}

export async function runSqlReader(soak: SoakContext, pauseMs: number): Promise<void> {
  while (await pause(pauseMs, soak.signal)) await readSql(soak)
}

type Times = Pick<ReadRecord, 'invokedUs' | 'completedUs' | 'source'> & { readonly door: Door }

function readOf(times: Times, family: Family, row: SoakRow, at: ReadRecord['at'], fresh?: Fresh): ReadRecord {
  return { op: 'read', ...times, key: `${family}:${row.id}`, row: row.id, at, ...(fresh ? { token: fresh.at } : {}) }
}

/** One answer says something about each order of the customer that it should hold. */
function recordList(
  soak: SoakContext,
  times: Times,
  asked: SoakRow,
  members: ReadonlyMap<string, string>,
  fresh?: Fresh,
): void {
  for (const row of soak.rows.watched()) {
    if (row.customerId !== asked.customerId) continue
    const text = members.get(row.id)
    const at = text === undefined ? 'absent' : atOf(text)
    soak.record(readOf(times, 'list', row, at, row.id === asked.id ? fresh : undefined))
  }
}

/** Without parsing the whole: there are thousands a second. */
function updatedAtIn(text: string): At | undefined {
  const from = text.lastIndexOf('"updatedAt":"')
  return from === -1 ? undefined : atOf(text.slice(from + 13, from + 40))
}

function textOf(document: Document, name: string): string {
  const value = document[name]
  return typeof value === 'string' ? value : ''
}
