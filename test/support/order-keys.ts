/**
 * The keys of the order system, as docs/guarantees and the README promise them to programs that read Redis without us. The
 * documents are written out here once more, in SQL, so that a mistake in app/views.ts cannot hide in its own test.
 */
import assert from 'node:assert/strict'

import type { Sql } from 'postgres'

import type { TestSystem } from './system.ts'

export const TTL_SECONDS = {
  'order:entity:': 3600,
  'order:status:': 1800,
  'order:items:': 3600,
  'orders:customer:': 3600,
} as const

type Redis = TestSystem['redis']

/** Every key of the four families with its document or members, without metadata. */
export async function cachedKeys(redis: Redis): Promise<Readonly<Record<string, unknown>>> {
  const found: Record<string, unknown> = {}
  for (const prefix of Object.keys(TTL_SECONDS)) {
    const isList = prefix === 'order:items:' || prefix === 'orders:customer:'
    for await (const keys of redis.scanIterator({ MATCH: `${prefix}*`, COUNT: 1000 })) {
      for (const key of keys) {
        const value = isList ? membersOf(await redis.hGetAll(key)) : documentOf(await redis.get(key))
        if (value !== undefined) found[key] = value
      }
    }
  }
  return found
}

/** TTLs are what was declared, less what the test took since. */
export async function assertTtls(redis: Redis, keys: Iterable<string>, withinSeconds = 120): Promise<void> {
  for (const key of keys) {
    const [, declared] = Object.entries(TTL_SECONDS).find(([prefix]) => key.startsWith(prefix)) ?? []
    const ttl = await redis.ttl(key)
    assert.ok(declared !== undefined && ttl <= declared && ttl > declared - withinSeconds, `${key} has TTL ${ttl}`)
  }
}

/** What has to be cached when all that was committed is applied: rows of every order, lists of those that were read. */
export async function expectedKeys(
  sql: Sql,
  read: { readonly customers?: readonly string[]; readonly itemsOf?: readonly string[] } = {},
): Promise<Record<string, unknown>> {
  const { customers = [], itemsOf = [] } = read
  const orders = await sql<{ id: string; entity: unknown; status: unknown }[]>`
    select id::text,
           jsonb_build_object(
             'id', id::text, 'customerId', customer_id::text, 'status', status, 'totalAmount', total_amount::text,
             'address', case when coalesce(street_address, city, state, postal_code, country) is not null then
               jsonb_build_object('street', street_address, 'city', city, 'state', state, 'postalCode', postal_code,
                                  'country', country) end,
             'deliveryInstructions', delivery_instructions,
             'createdAt', to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
             'updatedAt', to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
             'version', version) as entity,
           jsonb_build_object('status', status,
             'updatedAt', to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) as status
      from orders`
  const lists = await sql<{ key: string; members: unknown }[]>`
    select 'orders:customer:' || c as key,
           coalesce((select jsonb_object_agg(id::text, jsonb_build_object(
             'id', id::text, 'status', status, 'totalAmount', total_amount::text,
             'createdAt', to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
             'updatedAt', to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
             from orders where customer_id::text = c), '{}') as members
      from unnest(${[...customers]}::text[]) c
    union all
    select 'order:items:' || o,
           coalesce((select jsonb_object_agg(id::text, jsonb_build_object(
             'id', id::text, 'productId', product_id, 'productName', product_name, 'quantity', quantity,
             'unitPrice', unit_price::text, 'totalPrice', total_price::text))
             from order_items where order_id::text = o), '{}')
      from unnest(${[...itemsOf]}::text[]) o`
  const expected: Record<string, unknown> = {}
  for (const { id, entity, status } of orders) {
    expected[`order:entity:${id}`] = entity
    expected[`order:status:${id}`] = status
  }
  for (const { key, members } of lists) expected[key] = members
  return expected
}

function documentOf(text: string | null): unknown {
  if (text === null) return undefined
  const document = JSON.parse(text) as Record<string, unknown>
  return Object.fromEntries(Object.entries(document).filter(([member]) => !member.startsWith('_')))
}

function membersOf(fields: Readonly<Record<string, string>>): unknown {
  const members = Object.entries(fields).filter(([field]) => !field.startsWith('_'))
  return Object.fromEntries(members.map(([field, text]) => [field, documentOf(text)]))
}
