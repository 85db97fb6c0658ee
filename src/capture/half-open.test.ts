import assert from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'

import { openTestCapture, slotName, texts } from '../../test/support/follow-capture.ts'
import { ownPostgres, testPostgres } from '../../test/support/postgres.ts'
import { waitFor } from '../../test/support/wait-for.ts'

interface Proxy {
  readonly port: number
  /** Where new connections go from now on. */
  setTarget(port: number): void
  /** What is connected now stays connected, and nothing passes any more. */
  blackHole(): void
  /** What is connected now is cut. */
  cut(): void
  close(): void
}

async function startProxy(targetPort: number): Promise<Proxy> {
  let target = targetPort
  let pairs: (readonly [Socket, Socket])[] = []
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    for (const socket of [client, upstream]) socket.on('error', () => undefined)
    client.pipe(upstream).pipe(client)
    pairs.push([client, upstream])
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const cut = (): void => {
    for (const [client, upstream] of pairs) {
      client.destroy()
      upstream.destroy()
    }
    pairs = []
  }
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    setTarget(port) {
      target = port
    },
    blackHole() {
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream)
        upstream.unpipe(client)
        client.resume()
        upstream.destroy()
      }
    },
    cut,
    close() {
      cut()
      server.close()
    },
  }
}

function through(url: string, proxy: Proxy): string {
  const proxied = new URL(url)
  proxied.port = String(proxy.port)
  return proxied.href
}

test('a connection that is half-open is given up and made anew', async (t) => {
  const database = await testPostgres(t)
  const { sql, url } = database
  await sql`create table items (id int primary key)`
  const proxy = await startProxy(Number(new URL(url).port))
  t.after(() => proxy.close())
  const follower = await openTestCapture(t, database, {
    tables: ['public.items'],
    snapshot: 'no_data',
    databaseUrl: through(url, proxy),
    statusIntervalMs: 50,
    livenessTimeoutMs: 300,
  })
  await sql`insert into items values (1)`
  await follower.catchUp(sql)
  proxy.blackHole()
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
  const proxy = await startProxy(one.port)
  t.after(() => proxy.close())
  const follower = await openTestCapture(t, one, {
    tables: ['public.items'],
    snapshot: 'no_data',
    databaseUrl: through(one.url, proxy),
  })
  await follower.catchUp(one.sql)
  proxy.setTarget(two.port)
  proxy.cut()
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
  const proxy = await startProxy(Number(new URL(url).port))
  t.after(() => proxy.close())
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
