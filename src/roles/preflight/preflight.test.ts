import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ownPostgres } from '../../../test/support/postgres.ts'
import { testRedis } from '../../../test/support/redis.ts'
import { judgeClock } from './check-clocks.ts'
import { judgeRedis } from './check-redis.ts'
import { judgeServer, type ServerFacts } from './check-server.ts'
import { judgeSlot, type SlotFacts } from './check-slot.ts'
import type { Finding } from './finding.ts'
import { nearestName } from './names.ts'
import { preflight } from './preflight.ts'
import { countView, itemEvents, ITEMS_TABLE, itemView, ownerView, preflightFixture } from './preflight-fixture.ts'

const idsOf = (findings: readonly Finding[]): readonly string[] => findings.map(({ id }) => id)
const PUBLISHED = `${ITEMS_TABLE} create publication {publication} for table public.items;`

test('on a right set-up nothing is found, with row, list and query views and with events', async (t) => {
  const count = countView('select count(*) from public.items where owner = $1')
  const { look } = await preflightFixture(t, { views: [itemView(), ownerView(), count] })
  assert.deepEqual(await look(), [])
})

test('before the first start, what TrackOps will make itself is told as information', async (t) => {
  const { look } = await preflightFixture(t, { setUp: ITEMS_TABLE, withSlot: false })
  const findings = await look()
  assert.deepEqual(idsOf(findings), ['publication-missing', 'slot-missing'])
  assert.ok(findings.every(({ severity }) => severity === 'info'))
})

test('a publication that is missing while the slot is there is an error, with the command that makes it', async (t) => {
  const { look, slot } = await preflightFixture(t, { setUp: ITEMS_TABLE })
  const [finding] = await look()
  assert.deepEqual([finding?.id, finding?.severity], ['publication-missing', 'error'])
  assert.equal(finding?.mend, `create publication ${slot} for table public.items;`)
})

test('a publication that lacks a table, an operation, a column, or has a row filter is an error each', async (t) => {
  const cases = {
    'publication-lacks-table': `${ITEMS_TABLE} create table other (id int primary key); create publication {publication} for table other;`,
    'publication-operations': `${PUBLISHED} alter publication {publication} set (publish = 'insert, update');`,
    'publication-row-filter': `${ITEMS_TABLE} create publication {publication} for table public.items where (status <> 'OLD');`,
    'publication-lacks-columns': `create table items (id uuid primary key, owner text, status text);
      create publication {publication} for table items (id, owner);`,
  }
  for (const [id, setUp] of Object.entries(cases)) {
    const { ids } = await preflightFixture(t, { setUp, views: [itemView()], events: [] })
    assert.deepEqual(await ids(), [id])
  }
})

test('partitions published under their own names are an error, and none when published under the root', async (t) => {
  const setUp = `create table items (id uuid primary key, owner text, status text) partition by hash (id);
    create table items_0 partition of items for values with (modulus 1, remainder 0);
    alter table items_0 replica identity full;
    create publication {publication} for table items;`
  const { ids, sql, slot } = await preflightFixture(t, { setUp })
  assert.deepEqual(await ids(), ['publication-partitions'])
  await sql.unsafe(`alter publication ${slot} set (publish_via_partition_root = true)`)
  assert.deepEqual(await ids(), [])
})

test('a replica identity too weak says for which view and which columns, and the command mends it', async (t) => {
  const setUp = `create table public.items (id uuid primary key, owner text, status text);
    create publication {publication} for table public.items;`
  const { look, ids, sql } = await preflightFixture(t, { setUp })
  const findings = await look()
  assert.deepEqual(idsOf(findings), ['replica-identity-weak', 'replica-identity-weak'])
  assert.match(findings[0]?.finding ?? '', /lacks owner, which view by-owner needs/)
  assert.match(findings[1]?.finding ?? '', /lacks owner and status, which events item-events needs/)
  await sql.unsafe(findings[0]?.mend ?? '')
  assert.deepEqual(await ids(), [])
})

test('a table whose updates would fail once it is published is told apart', async (t) => {
  const setUp = `create table public.items (id uuid not null unique, owner text, status text);
    create publication {publication} for table public.items;`
  const { ids } = await preflightFixture(t, { setUp, views: [itemView()], events: [] })
  assert.deepEqual(await ids(), ['replica-identity-unusable', 'table-without-primary-key'])
})

test('generated columns that make every update of a published table fail are an error, and the command mends it', async (t) => {
  const setUp = `create table public.items (id uuid primary key, owner text, status text);
    alter table public.items replica identity full;
    create publication {publication} for table public.items;`
  const { look, ids, sql } = await preflightFixture(t, { setUp })
  assert.deepEqual(await ids(), [])
  await sql`insert into items (id) values (gen_random_uuid())`

  await sql`alter table items add column loud text generated always as (upper(status)) stored`
  await assert.rejects(sql`update items set status = 'x'`, /cannot update table/)
  const [finding] = await look()
  assert.deepEqual([finding?.id, finding?.severity], ['publication-lacks-identity', 'error'])
  await sql.unsafe(finding?.mend ?? '')
  await sql`update items set status = 'x'`
  assert.deepEqual(await ids(), [])

  await sql`alter table items add column soft text generated always as (lower(status)) virtual`
  await assert.rejects(sql`update items set status = 'y'`, /cannot update table/)
  assert.deepEqual(await ids(), ['replica-identity-unusable'])
})

test('columns too long to be in every change are a warning for views and an error for events', async (t) => {
  const setUp = `create table public.items (id uuid primary key, owner text, status text, extra jsonb);
    create publication {publication} for table public.items;`
  const columns = ['id', 'extra']
  const { look } = await preflightFixture(t, { setUp, views: [itemView({ columns })], events: [itemEvents(columns)] })
  const wide = (await look()).filter(({ id }) => id === 'wide-columns-partial')
  assert.deepEqual(
    wide.map(({ severity }) => severity),
    ['warning', 'error'],
  )
})

test('a table or a column that does not exist is an error that names the nearest one', async (t) => {
  const { look } = await preflightFixture(t, {
    setUp: PUBLISHED,
    views: [
      itemView({ name: 'a', key: 'a:{id}', table: 'public.item' }),
      itemView({ name: 'b', key: 'b:{id}', columns: ['id', 'statsu'] }),
    ],
    events: [],
  })
  const findings = await look()
  assert.deepEqual(idsOf(findings), ['table-missing', 'column-missing'])
  assert.equal(findings[0]?.mend, 'Did you mean public.items?')
  assert.match(findings[1]?.mend ?? '', /^Did you mean status\?/)
  assert.equal(nearestName('wholly-different', ['orders', 'items']), undefined)
})

test('views, unlogged tables, keys that are not unique or not of one text are found', async (t) => {
  const setUp = `
    create unlogged table public.items (id uuid primary key, owner text, status text, price numeric);
    alter table public.items replica identity full;
    create view public.shown as select * from public.items;
    create table public.kept (id uuid primary key, owner text, status text, price numeric unique);
    alter table public.kept replica identity full;
    create publication {publication} for table public.kept;`
  const { look } = await preflightFixture(t, {
    setUp,
    views: [
      itemView({ name: 'shown', key: 'shown:{id}', table: 'public.shown' }),
      itemView({ name: 'owned', key: 'owned:{owner}', table: 'public.kept' }),
      itemView({ name: 'priced', key: 'priced:{price}', table: 'public.kept', columns: ['price'] }),
      itemView(),
    ],
    events: [],
  })
  const found = (await look()).map(({ id, finding }) => `${id}: ${/view [a-z]+/.exec(finding)?.[0] ?? ''}`)
  assert.deepEqual(found, [
    'table-not-a-table: view shown',
    'key-not-unique: view owned',
    'key-text-not-canonical: view priced',
    'table-unlogged: view item',
    'publication-lacks-table: view item',
  ])
})

test('SQL of a query view that PostgreSQL refuses, ignores its parameter, or reads an undeclared table is found', async (t) => {
  const setUp = `${PUBLISHED} create table public.hidden (id uuid primary key);`
  const cases = {
    'select * from public.nothing where owner = $1': ['query-view-invalid'],
    'select * from public.items where id = $1': ['query-view-invalid'],
    'select * from public.items where owner = $1 and status = $2': ['query-view-invalid'],
    'select 1 as one from public.items where owner = $1; drop table public.items': ['query-view-invalid'],
    'select count(*) from public.items': ['query-parameter-unused'],
    'select count(*) from public.items i join public.hidden h using (id) where owner = $1': [
      'query-view-undeclared-table',
    ],
  }
  for (const [sql, expected] of Object.entries(cases)) {
    const { ids } = await preflightFixture(t, { setUp, views: [countView(sql)], events: [] })
    assert.deepEqual(await ids(), expected, sql)
  }
})

test('a server without logical WAL, free slots and walsenders is told all of it at once, with synchronous replication', async (t) => {
  const database = await ownPostgres(t, {
    settings: {
      wal_level: 'replica',
      max_replication_slots: '0',
      max_wal_senders: '0',
      synchronous_standby_names: '*',
      synchronous_commit: 'local',
    },
  })
  const { ids } = await preflightFixture(t, { database, setUp: ITEMS_TABLE, withSlot: false })
  assert.deepEqual(await ids(), [
    'no-free-slot',
    'no-free-wal-sender',
    'publication-missing',
    'slot-missing',
    'synchronous-standby-is-us',
    'synchronous-standby-missing',
    'wal-level',
  ])
})

test('a role that may not replicate, read, see all rows or keep books is told so, each with its command', async (t) => {
  const database = await ownPostgres(t)
  const limited = new URL(database.url)
  limited.username = 'limited'
  limited.password = 'limited'
  const setUp = `${PUBLISHED} create role limited login password 'limited'; alter table items enable row level security;`
  const { look } = await preflightFixture(t, { database, setUp, sourceUrl: limited.href })
  const findings = await look()
  assert.deepEqual(idsOf(findings), [
    'role-without-replication',
    'schema-not-creatable',
    'table-unreadable',
    'row-security',
  ])
  for (const { mend } of findings) await database.sql.unsafe(mend)
  assert.deepEqual(await look(), [])
})

test('a slot that the server has cut off, and one that is foreign, are errors', async (t) => {
  const database = await ownPostgres(t, { settings: { max_slot_wal_keep_size: '1MB', min_wal_size: '32MB' } })
  const { ids, slot, sql } = await preflightFixture(t, { database })
  for (let segment = 0; segment < 4; segment++) {
    await sql`select pg_logical_emit_message(false, 'filler', 'x')`
    await sql`select pg_switch_wal()`
  }
  await sql`checkpoint`
  assert.deepEqual(await ids(), ['slot-invalidated'])
  await sql`select pg_drop_replication_slot(${slot})`
  await sql`select pg_create_physical_replication_slot(${slot})`
  assert.deepEqual(await ids(), ['slot-foreign'])
})

test('a slot is judged by what it retains, by its state, and by how late its reader is', () => {
  const slot: SlotFacts = {
    plugin: 'pgoutput',
    slot_type: 'logical',
    active: true,
    wal_status: 'reserved',
    is_here: true,
    retained_bytes: 0,
    flush_lag_s: null,
  }
  const gigabyte = 1024 ** 3
  const judge = (more: Partial<SlotFacts>, limitMegabytes = -1): readonly string[] =>
    idsOf(judgeSlot('s', { ...slot, ...more }, limitMegabytes))
  assert.deepEqual(judge({}), [])
  assert.deepEqual(judge({ retained_bytes: gigabyte }), [])
  assert.deepEqual(judge({ retained_bytes: 11 * gigabyte }), ['slot-retention'])
  assert.deepEqual(judge({ retained_bytes: gigabyte }, 4096), [])
  assert.deepEqual(judge({ retained_bytes: 3 * gigabyte }, 4096), ['slot-retention'])
  assert.deepEqual(judge({ retained_bytes: 5 * gigabyte, wal_status: 'unreserved' }, 4096), ['slot-unreserved'])
  assert.deepEqual(judge({ wal_status: 'lost' }), ['slot-invalidated'])
  assert.deepEqual(judge({ invalidation_reason: 'idle_timeout' }), ['slot-invalidated'])
  assert.deepEqual(judge({ active: false }), ['slot-inactive'])
  assert.deepEqual(judge({ two_phase: true }), ['slot-foreign'])
  assert.deepEqual(judge({ flush_lag_s: 61 }), ['lag-exceeds-marks'])
})

test('an old server, a standby, and a slot timeout are found; a named synchronous standby that is there is not', () => {
  const server: ServerFacts = {
    version: 180_000,
    versionText: '18.0',
    walLevel: 'logical',
    maxSlots: 10,
    maxSenders: 10,
    slots: 1,
    senders: 1,
    hasSlot: true,
    isReading: true,
    isStandby: false,
    mayReplicate: true,
    role: 'postgres',
    mayKeepBooks: true,
    database: 'orders',
    standbyNames: 'FIRST 1 (replica1)',
    standbys: 1,
    idleSlotTimeout: '0',
  }
  const judge = (more: Partial<ServerFacts>): readonly string[] => idsOf(judgeServer({ ...server, ...more }, 'orders'))
  assert.deepEqual(judge({}), [])
  assert.deepEqual(judge({ slots: 10, senders: 10 }), [])
  assert.deepEqual(judge({ version: 130_012 }), ['postgres-version'])
  assert.deepEqual(judge({ isStandby: true }), ['database-is-standby'])
  assert.deepEqual(judge({ idleSlotTimeout: '1h' }), ['idle-slot-timeout'])
  assert.deepEqual(judge({ standbyNames: 'ANY 1 (replica1, "trackops orders")' }), ['synchronous-standby-is-us'])
  assert.deepEqual(judge({ standbys: 0 }), ['synchronous-standby-missing'])
})

test('a Redis that evicts fences and keeps nothing on disk is found', async (t) => {
  const { look } = await preflightFixture(t, { redisSettings: { 'maxmemory-policy': 'allkeys-lru', appendonly: 'no' } })
  assert.deepEqual(
    (await look()).map(({ id, severity }) => [id, severity]),
    [
      ['redis-evicts-fences', 'error'],
      ['redis-without-persistence', 'warning'],
    ],
  )
})

test('a Redis that evicts marks, is full, and is a replica is found', async (t) => {
  const primary = await testRedis(t)
  const { ids } = await preflightFixture(t, {
    redisSettings: { 'maxmemory-policy': 'volatile-lru', maxmemory: '100kb', replicaof: `127.0.0.1 ${primary.port}` },
  })
  assert.deepEqual(await ids(), ['redis-evicts-marks', 'redis-nearly-full', 'redis-replica'])
})

test('an old Redis, a cluster, a disk that is full, and a user without scripts are found', () => {
  const info = {
    redis_version: '7.2.4',
    role: 'master',
    maxmemory_policy: 'noeviction',
    aof_enabled: '1',
    aof_last_write_status: 'ok',
  }
  const judge = (more: Record<string, string>, save: string | null = '', runsScripts = true): readonly string[] =>
    idsOf(judgeRedis({ info: new Map(Object.entries({ ...info, ...more })), save, runsScripts }))
  assert.deepEqual(judge({}), [])
  assert.deepEqual(judge({ redis_version: '6.2.0' }), [])
  assert.deepEqual(judge({ redis_version: '6.0.16' }), ['redis-version'])
  assert.deepEqual(judge({ cluster_enabled: '1' }), ['redis-cluster'])
  assert.deepEqual(judge({ aof_last_write_status: 'err' }), ['redis-cannot-persist'])
  assert.deepEqual(judge({}, '', false), ['redis-scripting'])
  assert.deepEqual(judge({ aof_enabled: '0' }, '3600 1'), [])
  assert.deepEqual(judge({ aof_enabled: '0' }, null), ['redis-without-persistence'])
})

test('clocks that differ by more than the answer took are found, for both servers', async (t) => {
  const { look } = await preflightFixture(t)
  const findings = await look({ now: () => Date.now() - 60_000 })
  assert.deepEqual(idsOf(findings), ['clock-skew', 'clock-skew'])
  assert.match(findings[0]?.finding ?? '', /PostgreSQL is (59|60)\.\d s ahead/)
  assert.deepEqual(judgeClock('Redis', { aheadMs: -5_000, errorMs: 6_000 }), [])
})

test('servers that do not answer are one finding each, and passwords are not shown', async (t) => {
  const { config } = await preflightFixture(t)
  const nowhere = 'postgres://me:secret@127.0.0.1:1/orders'
  const urls = { source: nowhere, redis: 'redis://:secret@127.0.0.1:1', databases: { stock: nowhere } }
  const databases = { stock: { urlVariable: 'STOCK_DATABASE_URL', embeddedName: 'stock' } }
  const loaded = { config: { ...config, databases }, directory: '/', file: '/none' }
  const { findings, checks } = await preflight(loaded, urls)
  assert.deepEqual(idsOf(findings).toSorted(), ['database-unreachable', 'postgres-unreachable', 'redis-unreachable'])
  assert.deepEqual(checks, ['encryption'])
  assert.doesNotMatch(JSON.stringify(findings), /secret/)
})

test('a check that cannot run is a finding, and the others run', async (t) => {
  const { ids, sql, config, sourceUrl, redisUrl } = await preflightFixture(t)
  assert.deepEqual(await ids(), [])
  const blocked = sql.begin(async (tx) => {
    await tx`lock table pg_catalog.pg_publication in access exclusive mode`
    const urls = { source: sourceUrl, redis: redisUrl, databases: {} }
    return await preflight({ config, directory: '/', file: '/none' }, urls, { checkTimeoutMs: 500 })
  })
  const { findings, checks } = await blocked
  assert.ok(findings.some(({ id, finding }) => id === 'check-failed' && finding.includes('publication')))
  assert.ok(checks.includes('server') && checks.includes('redis'))
})
