import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Sql } from 'postgres'
import { Registry } from 'prom-client'

import { testPostgres } from '../../test/support/postgres.ts'
import type { DomainEvent, Logger } from '../../src/index.ts'
import { createInventoryServer } from '../inventory-service/inventory-service.ts'
import type { HttpServer } from '../http/server.ts'
import { createOrderServer } from '../order-service/order-service.ts'
import { createDirectReader, type DirectReader } from './direct-reader.ts'

/** What testPostgres and defer need of a test. */
type Scope = Parameters<typeof testPostgres>[0]

export const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => SILENT,
}

export interface TestOrders {
  readonly app: HttpServer
  readonly sql: Sql
  readonly cache: DirectReader
}

/** The order service on a database of its own, without a cache. */
export async function testOrders(scope: Scope): Promise<TestOrders> {
  const sql = await migratedDatabase(scope, 'orders')
  const cache = createDirectReader(sql)
  const app = await createOrderServer({ log: SILENT, metrics: new Registry(), orders: sql, cache })
  return { app, sql, cache }
}

export interface TestInventory {
  readonly app: HttpServer
  readonly sql: Sql
  /** What was put into the outbox, in order. */
  readonly announced: () => Promise<readonly DomainEvent['payload'][]>
}

export async function testInventory(scope: Scope, options: { readonly defaultStock: number }): Promise<TestInventory> {
  const sql = await migratedDatabase(scope, 'inventory')
  // As the bus makes it.
  await sql`
    create table trackops_outbox (
      seq bigint generated always as identity primary key, event_id text not null unique, topic text not null,
      key text not null, payload jsonb not null, created_at timestamptz not null default now(), published_at timestamptz
    )`
  const app = await createInventoryServer({ log: SILENT, metrics: new Registry(), inventory: sql }, options)
  const announced = async () => {
    const rows = await sql<{ payload: DomainEvent['payload'] }[]>`select payload from trackops_outbox order by seq`
    return rows.map(({ payload }) => payload)
  }
  return { app, sql, announced }
}

export async function migratedDatabase(scope: Scope, name: 'orders' | 'inventory'): Promise<Sql> {
  const { sql } = await testPostgres(scope)
  const directory = join(import.meta.dirname, '..', 'migrations', name)
  for (const file of readdirSync(directory).toSorted()) await sql.unsafe(readFileSync(join(directory, file), 'utf8'))
  return sql
}
