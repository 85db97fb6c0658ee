/** What came of the orders, at the end: each one's events, and the stock that they hold. */
import type { Sql } from 'postgres'

import type { KafkaConnection } from '../../src/roles/kafka-clients.ts'
import { eventsOf } from '../distributed/topic-events.ts'
import { type EffectRecord, nowUs } from '../history/record.ts'
import { waitFor } from '../support/wait-for.ts'

const TYPES = ['ORDER_CREATED', 'ORDER_CANCELLED'] as const

/**
 * Of orders that are there: one that was made and deleted while there was no slot leaves no trace. Answers of the inventory travel back, so an
 * order with items is waited for until it is PENDING no more.
 */
export async function readEffects(
  { sql, inventorySql }: { readonly sql: Sql; readonly inventorySql: Sql },
  kafka: KafkaConnection | undefined,
): Promise<readonly EffectRecord[]> {
  const invokedUs = nowUs()
  await waitFor(
    async () =>
      (
        await sql`select from orders o where status = 'PENDING' and exists (select from order_items where order_id = o.id) limit 1`
      ).length === 0,
    { what: 'every order with items to be answered', timeoutMs: 120_000, intervalMs: 100 },
  )
  const orders = await sql<{ id: string; is_cancelled: boolean }[]>`
    select id::text, status = 'CANCELLED' as is_cancelled from orders`
  const promised = await quantities(sql`
    select product_id as product, sum(quantity)::int as quantity from order_items i join orders o on o.id = i.order_id
     where o.status not in ('CANCELLED', 'REJECTED') group by 1`)
  const reservedNow = (): Promise<ReadonlyMap<string, number>> =>
    quantities(inventorySql`select product_id as product, reserved::int as quantity from inventory where reserved > 0`)
  // Cancellations arrive after the order's own row. What stays different is told below.
  await waitFor(async () => isSame(await reservedNow(), promised), { what: 'stock', timeoutMs: 20_000 }).catch(
    () => undefined,
  )
  const reserved = await reservedNow()
  const counts = kafka ? await countOnTopic(kafka) : await countInTable(sql)
  const times = { op: 'effect', invokedUs, completedUs: nowUs() } as const
  return [
    ...orders.flatMap(({ id, is_cancelled }) =>
      TYPES.map((effect) => ({
        ...times,
        row: id,
        effect,
        happened: counts.get(`${effect} ${id}`) ?? 0,
        expected: effect === 'ORDER_CREATED' || is_cancelled ? 1 : 0,
      })),
    ),
    ...[...new Set([...promised.keys(), ...reserved.keys()])].map((product) => ({
      ...times,
      row: product,
      effect: 'reservations of a piece',
      happened: reserved.get(product) ?? 0,
      expected: promised.get(product) ?? 0,
    })),
  ]
}

/** `type order` to how often. */
async function countInTable(sql: Sql): Promise<ReadonlyMap<string, number>> {
  const rows = await sql<{ name: string; count: number }[]>`
    select (payload->>'type') || ' ' || key as name, count(*)::int as count from trackops.domain_events
     where topic = 'order-events' group by 1`
  return new Map(rows.map(({ name, count }) => [name, count]))
}

async function countOnTopic(kafka: KafkaConnection): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (const { key, payload } of await eventsOf(kafka, 'order-events')) {
    const { type } = payload as { readonly type: string }
    counts.set(`${type} ${key}`, (counts.get(`${type} ${key}`) ?? 0) + 1)
  }
  return counts
}

async function quantities(
  query: PromiseLike<readonly { product: string; quantity: number }[] | readonly Record<string, unknown>[]>,
): Promise<ReadonlyMap<string, number>> {
  return new Map((await query).map((row) => [String(row['product' as never]), Number(row['quantity' as never])]))
}

function isSame(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && Array.from(a).every(([key, value]) => b.get(key) === value)
}
