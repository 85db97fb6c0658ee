import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'

import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { ownPostgres, sharedPostgres, testPostgres } from './postgres.ts'
import { testRedis } from './redis.ts'
import { waitFor } from './wait-for.ts'

test('a test database is fresh, speaks UTC, can be replicated, and is gone afterwards, slots too', async (t) => {
  let name = ''
  await t.test('inside', async (inner) => {
    const { sql, url } = await testPostgres(inner)
    name = new URL(url).pathname.slice(1)
    const [row] = await sql`select current_setting('wal_level') as wal, current_setting('TimeZone') as zone`
    assert.deepEqual({ ...row }, { wal: 'logical', zone: 'UTC' })
    await sql`create table kept (id int primary key)`
    await sql`select pg_create_logical_replication_slot(${name}, 'pgoutput')`
  })
  const sql = createPostgresPool(await sharedPostgres(), { applicationName: 'check', maxConnections: 1 })
  t.after(() => sql.end())
  assert.equal((await sql`select from pg_database where datname = ${name}`).length, 0)
  assert.equal((await sql`select from pg_replication_slots where slot_name = ${name}`).length, 0)
})

test('two test databases do not see each other', async (t) => {
  const [one, two] = await Promise.all([testPostgres(t), testPostgres(t)])
  await one.sql`create table only_here (id int)`
  assert.equal((await two.sql`select from pg_tables where tablename = 'only_here'`).length, 0)
})

test('an own server keeps committed rows over a kill, and its settings over a restart', async (t) => {
  const server = await ownPostgres(t, { settings: { max_replication_slots: '3' } })
  const { sql } = server
  await sql`create table kept (id int)`
  await sql`insert into kept values (1)`
  await server.kill()
  await server.start()
  await waitFor(() => sql`select * from kept`, {
    what: 'the row to be there again',
    until: (rows) => rows.length === 1,
  })
  await server.restart()
  const setting = await waitFor(async () => (await sql`show max_replication_slots`)[0], { what: 'an answer' })
  assert.equal(setting['max_replication_slots'], '3')
})

test('a test Redis keeps its data over a graceful stop and its port over a kill', async (t) => {
  const redis = await testRedis(t)
  assert.equal(await command(redis.port, 'SET greeting hello'), '+OK')
  await redis.stop()
  await redis.start()
  assert.equal(await command(redis.port, 'GET greeting'), '$5')
  await redis.kill()
  await assert.rejects(command(redis.port, 'PING'), { code: 'ECONNREFUSED' })
  await redis.start()
  assert.equal(await command(redis.port, 'PING'), '+PONG')
})

test('a test Redis takes settings of redis.conf', async (t) => {
  const { port } = await testRedis(t, { settings: { appendonly: 'no', maxmemory: '3mb' } })
  assert.match(await command(port, 'CONFIG GET maxmemory', 5), /3145728/)
})

test('waitFor says what it waited for and what it saw last', async () => {
  let asked = 0
  const never = waitFor(() => ({ asked: (asked += 1) }), { what: 'a miracle', timeoutMs: 30, until: () => false })
  await assert.rejects(never, /Waited 30 ms for a miracle; last seen: \{ asked: \d+ \}/)
  const throwing = waitFor(() => Promise.reject(new Error('down')), { what: 'an answer', timeoutMs: 20 })
  await assert.rejects(throwing, /for an answer; last error: down/)
})

/** The first lines of the reply, as RESP writes them. */
function command(port: number, line: string, replyLines = 1): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${line}\r\n`))
    let text = ''
    socket.on('data', (data: Buffer) => {
      text += data.toString()
      const lines = text.split('\r\n')
      if (lines.length <= replyLines) return
      socket.destroy()
      resolve(lines.slice(0, replyLines).join(' '))
    })
    socket.on('error', reject)
  })
}
