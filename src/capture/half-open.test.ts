import assert from 'node:assert/strict'
import { test } from 'node:test'

import { openTestCapture, slotName, texts } from '../../test/support/follow-capture.ts'
import { ownPostgres, testPostgres } from '../../test/support/postgres.ts'
import { tcpProxy, through } from '../../test/support/tcp-proxy.ts'
import { waitFor } from '../../test/support/wait-for.ts'

test('a connection that is half-open is given up and made anew', async (t) => {
  const database = await testPostgres(t)
  const { sql, url } = database
  await sql`create table items (id int primary key)`
  // The server does not hear of the end either, and keeps the slot until it has lost patience.
  await sql`alter database ${sql(new URL(url).pathname.slice(1))} set wal_sender_timeout = '1s'`
  const proxy = await tcpProxy(t, Number(new URL(url).port))
  const follower = await openTestCapture(t, database, {
    tables: ['public.items'],
    snapshot: 'no_data',
    databaseUrl: through(url, proxy),
    statusIntervalMs: 50,
    livenessTimeoutMs: 300,
  })
  await sql`insert into items values (1)`
  await follower.catchUp(sql)
  proxy.swallow()
  proxy.pass()
  await sql`insert into items values (2)`
  await follower.pullUntil(
    (item) => item.kind === 'transaction' && item.changes.some((change) => texts(change, 'after')?.['id'] === '2'),
  )
  assert.ok(follower.capture.status().reconnections >= 1)
})

test('an idle connection is kept, as the server answers when it is asked', async (t) => {
  const database = await testPostgres(t)
  const { sql, url } = database
  await sql`create table items (id int primary key)`
  const follower = await openTestCapture(t, database, {
    tables: ['public.items'],
    snapshot: 'no_data',
    statusIntervalMs: 20,
    livenessTimeoutMs: 200,
  })
  await follower.catchUp(sql)
  const pulling = follower.pullUntil((item) => item.kind === 'transaction')
  await waitFor(
    async () =>
      (
        await sql`select from pg_stat_replication where application_name = ${`trackops ${slotName(url)}`}
                     and reply_time > backend_start + interval '0.6 s'`
      ).length,
    { what: 'three times the time in which silence would count as death to pass' },
  )
  await sql`insert into items values (1)`
  await pulling
  assert.equal(follower.capture.status().reconnections, 0)
})

test('another cluster that answers at the same address is another history', async (t) => {
  const [one, two] = await Promise.all([ownPostgres(t), ownPostgres(t)])
  await one.sql`create table items (id int primary key)`
  const proxy = await tcpProxy(t, one.port)
  const follower = await openTestCapture(t, one, {
    tables: ['public.items'],
    snapshot: 'no_data',
    databaseUrl: through(one.url, proxy),
  })
  await follower.catchUp(one.sql)
  proxy.to(two.port)
  await assert.rejects(
    follower.pullUntil(() => false),
    { code: 'HISTORY_CHANGED' },
  )
})

test('a snapshot that is cut off is not resumed: its slot is lost, and opening again begins anew', async (t) => {
  const database = await testPostgres(t)
  const { sql, url } = database
  await sql`create table items (id int primary key)`
  await sql`insert into items select generate_series(1, 5000)`
  const proxy = await tcpProxy(t, Number(new URL(url).port))
  const options = { tables: ['public.items'], databaseUrl: through(url, proxy), snapshotPieceBytes: 20_000 }
  const follower = await openTestCapture(t, database, options)
  await follower.pullUntil((item) => item.kind === 'snapshot')
  proxy.cut()
  await assert.rejects(
    follower.pullUntil((item) => item.kind === 'snapshot' && item.isLast),
    { code: 'SLOT_LOST' },
  )
  await follower.stop()
  const second = await openTestCapture(t, database, options)
  await second.pullUntil((item) => item.kind === 'snapshot' && item.isLast)
  assert.equal(second.snapshots().flatMap((piece) => piece.changes).length, 5000)
})
