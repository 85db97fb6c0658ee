/** For the tests of this folder: a small application on a database and a Redis, and the ids of what preflight finds there. */
import { randomBytes } from 'node:crypto'

import type { Sql } from 'postgres'

import { defer, type TestScope } from '../../../test/support/defer.ts'
import { testPostgres } from '../../../test/support/postgres.ts'
import { testRedis } from '../../../test/support/redis.ts'
import { listView, queryView, rowView, type View } from '../../cache/view.ts'
import type { EventDefinition } from '../../consume/event-definition.ts'
import type { TrackOpsConfig } from '../define-config.ts'
import type { Finding } from './finding.ts'
import { preflight, type PreflightOptions } from './preflight.ts'

const columns = ['id', 'owner', 'status']
const document = (): Record<string, never> => ({})

export const itemView = (more: Partial<Parameters<typeof rowView>[0]> = {}): View =>
  rowView({
    name: 'item',
    key: 'item:{id}',
    table: 'public.items',
    columns,
    ttlSeconds: 60,
    warm: 'all',
    document,
    ...more,
  })

export const ownerView = (): View =>
  listView({
    name: 'by-owner',
    key: 'items:owner:{owner}',
    table: 'public.items',
    columns,
    member: 'id',
    ttlSeconds: 60,
    warm: 'cached',
    document,
  })

export const countView = (sql: string, tables: readonly string[] = ['public.items']): View =>
  queryView({
    name: 'count',
    key: 'count:{owner}',
    sql,
    ttlSeconds: 60,
    warm: 'cached',
    dependsOn: tables.map((table) => ({ table, columns: ['id'] })),
  })

export const itemEvents = (eventColumns: readonly string[] = columns): EventDefinition => ({
  topic: 'item-events',
  table: 'public.items',
  columns: eventColumns,
  derive: () => [],
})

export interface Looks {
  readonly sql: Sql
  readonly sourceUrl: string
  readonly redisUrl: string
  readonly slot: string
  readonly config: TrackOpsConfig
  /** What is found, but for what nobody reading the test's slot means. */
  readonly look: (options?: PreflightOptions) => Promise<readonly Finding[]>
  readonly ids: (options?: PreflightOptions) => Promise<readonly string[]>
}

const TABLE = `
  create table public.items (id uuid primary key, owner text, status text);
  alter table public.items replica identity full;`

/** A right set-up, unless told otherwise. `set-up` replaces table and publication: {publication} stands for its name. */
export async function preflightFixture(
  scope: TestScope,
  options: {
    readonly views?: readonly View[]
    readonly events?: readonly EventDefinition[]
    readonly setUp?: string
    readonly withSlot?: boolean
    readonly redisSettings?: Readonly<Record<string, string>>
    readonly database?: { readonly url: string; readonly sql: Sql }
    /** Seen through another role. */
    readonly sourceUrl?: string
  } = {},
): Promise<Looks> {
  const { url, sql } = options.database ?? (await testPostgres(scope))
  const redis = await testRedis(scope, options.redisSettings ? { settings: options.redisSettings } : {})
  const slot = `preflight_${randomBytes(6).toString('hex')}`
  const setUp = options.setUp ?? `${TABLE} create publication {publication} for table public.items;`
  await sql.unsafe(setUp.replaceAll('{publication}', slot))
  if (options.withSlot ?? true) {
    await sql`select pg_create_logical_replication_slot(${slot}, 'pgoutput')`
    defer(
      scope,
      () => sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = ${slot}`,
    )
  }
  const config: TrackOpsConfig = {
    source: { urlVariable: 'DATABASE_URL', embeddedName: 'items', slot, publication: slot },
    views: options.views ?? [itemView(), ownerView()],
    events: options.events ?? [itemEvents()],
  }
  const sourceUrl = options.sourceUrl ?? url
  const look = async (preflightOptions?: PreflightOptions): Promise<readonly Finding[]> => {
    const urls = { source: sourceUrl, redis: redis.url, databases: {} }
    const { findings } = await preflight({ config, directory: '/', file: '/none' }, urls, preflightOptions)
    return findings.filter(({ id }) => id !== 'slot-inactive')
  }
  return {
    sql,
    sourceUrl,
    redisUrl: redis.url,
    slot,
    config,
    look,
    ids: async (preflightOptions) =>
      (await look(preflightOptions)).map(({ id }) => id).toSorted((a, b) => (a < b ? -1 : 1)),
  }
}

export { TABLE as ITEMS_TABLE }
