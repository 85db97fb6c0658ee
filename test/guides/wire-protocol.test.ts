/** Does what docs/wire-protocol.md says, beside a running system: a reader in another language has no more than this. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { before, describe, test } from 'node:test'

import { suiteScope } from '../../app/test-support/suite-scope.ts'
import { compileViews } from '../../src/cache/compiled-view.ts'
import { verifyOnce } from '../../src/roles/verify.ts'
import config from '../../trackops.config.ts'
import { testSystem, type TestSystem } from '../support/system.ts'
import { waitFor } from '../support/wait-for.ts'
import {
  fixedLsn,
  isTrusted,
  lease,
  readDatabase,
  satisfies,
  settle,
  toStore,
  WITHOUT_LEASE,
  type WireView,
  writeWithToken,
} from './minimal-reader.ts'

const VERSION = /^[0-9a-f]{8}\|(e\|[0-9A-F]{16}\|\d+|r\|\d+:\d+:[\d,]*)$/
const TIME = `to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
const STATUS_QUERY = `
  select id::text, '{"status":' || to_json(status)::text || ',"updatedAt":"' || ${TIME} || '"}' as document
  from orders where id::text = $1`
const LIST_QUERY = `
  select id::text, '{"id":"' || id::text || '","status":"' || status || '","totalAmount":"' || total_amount::text
    || '","createdAt":"' || ${TIME.replace('updated_at', 'created_at')} || '","updatedAt":"' || ${TIME} || '"}' as document
  from orders where customer_id::text = $1`

describe('docs/wire-protocol.md', () => {
  const scope = suiteScope()
  let system: TestSystem
  let status: WireView
  let customerOrders: WireView

  before(async () => {
    system = await testSystem(scope)
    const { views } = (await (await fetch(`${system.consoleUrl}/api/status`)).json()) as {
      views: { name: string; code: string; ttlSeconds: number }[]
    }
    const viewOf = (name: string, kind: 's' | 'h'): WireView => {
      const found = views.find((view) => view.name === name)
      assert.ok(found, name)
      return { name, kind, code: found.code, ttlSeconds: found.ttlSeconds }
    }
    status = viewOf('order-status', 's')
    customerOrders = viewOf('customer-orders', 'h')
  })

  const command = async (...args: string[]): Promise<unknown> => await system.redis.sendCommand(args)
  const get = async (key: string): Promise<string | null> => (await command('GET', key)) as string | null

  async function insertOrder(
    customerId: string = randomUUID(),
  ): Promise<{ id: string; key: string; customerId: string }> {
    const id = randomUUID()
    await system.sql`insert into orders (id, customer_id, total_amount) values (${id}, ${customerId}, 12.5)`
    const key = `order:status:${id}`
    await waitFor(() => get(key), { what: 'the order to be cached' })
    return { id, key, customerId }
  }

  test('a document is one GET of JSON whose first member is its version', async () => {
    const { key } = await insertOrder()
    const text = await get(key)
    const document = JSON.parse(text ?? '') as Record<string, string>
    assert.deepEqual(Object.keys(document), ['_v', 'status', 'updatedAt'])
    assert.match(document['_v'] ?? '', VERSION)
    assert.ok(document['_v']?.startsWith(`${status.code}|e|`), 'the code is the one that /api/status names')
  })

  test('step 1 answers what is there, gives one lease for what is not, and says who does not have it', async () => {
    const { key } = await insertOrder()
    const there = await lease(system.redis, status, key)
    assert.deepEqual(there.reply, ['v', await get(key)])
    await command('UNLINK', key)
    assert.deepEqual((await lease(system.redis, status, key)).reply, ['l'])
    assert.deepEqual((await lease(system.redis, status, key)).reply, ['n'])
    assert.match((await get(`{${key}}:lease`)) ?? '', /^[\w-]{12};$/)
  })

  test('steps 1 to 3 fill a document, and the next change updates it', async () => {
    const { id, key } = await insertOrder()
    await command('UNLINK', key)
    const held = await lease(system.redis, status, key)
    const found = await readDatabase(system.sql, STATUS_QUERY, id)
    const reply = await settle(system.redis, status, key, held, found, ['k'], toStore(status, found))
    assert.deepEqual(reply, ['s'])
    assert.match((await get(key)) ?? '', new RegExp(`^\\{"_v":"${status.code}\\|r\\|[\\d:,]+","status":"PENDING"`))
    assert.equal(await command('TTL', key), status.ttlSeconds)
    assert.equal(await get(`{${key}}:answered`), found.insertLsn)
    await system.sql`update orders set status = 'CONFIRMED' where id = ${id}`
    await waitFor(() => get(key), { what: 'the change', until: (text) => text.includes('CONFIRMED') })
  })

  test('what was read before a change that passed meanwhile is not stored', async () => {
    const { id, customerId } = await insertOrder()
    const key = `orders:customer:${customerId}`
    const held = await lease(system.redis, customerOrders, key)
    assert.deepEqual(held.reply, ['l'])
    const found = await readDatabase(system.sql, LIST_QUERY, customerId)
    await system.sql`update orders set status = 'CONFIRMED' where id = ${id}`
    await waitFor(() => get(`{${key}}:lease`), { what: 'the change', until: (text) => /;\d+;$/.test(text) })
    const reply = await settle(system.redis, customerOrders, key, held, found, ['k'], toStore(customerOrders, found))
    assert.deepEqual(reply, ['n'])
    assert.equal(await command('EXISTS', key), 0)
    assert.equal(await get(`{${key}}:lease`), null)
  })

  test('a list is filled as one hash, whose members changes then keep', async () => {
    const { id, customerId } = await insertOrder()
    const key = `orders:customer:${customerId}`
    const held = await lease(system.redis, customerOrders, key)
    const found = await readDatabase(system.sql, LIST_QUERY, customerId)
    const store = toStore(customerOrders, found)
    assert.deepEqual(await settle(system.redis, customerOrders, key, held, found, ['k'], store), ['s'])
    const fields = (await command('HGETALL', key)) as string[]
    assert.deepEqual([fields.length, new Set(fields.filter((_, at) => at % 2 === 0))], [4, new Set(['_v', id])])
    assert.match(fields[fields.indexOf('_v') + 1] ?? '', VERSION)
    const second = await insertOrder(customerId)
    await waitFor(() => command('HEXISTS', key, second.id), { what: 'the second order', until: (is) => is === 1 })
    await system.sql`delete from orders where id = ${id}`
    await waitFor(() => command('HLEN', key), { what: 'the deletion', until: (length) => length === 2 })
    assert.deepEqual((await lease(system.redis, customerOrders, key)).reply[0], 'v')
  })

  test('a list without members has its version alone', async () => {
    const customerId = randomUUID()
    const key = `orders:customer:${customerId}`
    const held = await lease(system.redis, customerOrders, key)
    const found = await readDatabase(system.sql, LIST_QUERY, customerId)
    await settle(system.redis, customerOrders, key, held, found, ['k'], toStore(customerOrders, found))
    assert.deepEqual(await command('HKEYS', key), ['_v'])
  })

  test('that there is no such row is remembered beside the key, and an insert ends it', async () => {
    const id = randomUUID()
    const key = `order:status:${id}`
    const held = await lease(system.redis, status, key)
    const found = await readDatabase(system.sql, STATUS_QUERY, id)
    assert.deepEqual(await settle(system.redis, status, key, held, found, ['k'], toStore(status, found)), ['s'])
    const [entry, absent] = (await command('MGET', key, `{${key}}:absent`)) as (string | null)[]
    assert.equal(entry, null)
    assert.match(absent ?? '', VERSION)
    assert.deepEqual((await lease(system.redis, status, key)).reply, ['a', absent])
    await system.sql`insert into orders (id) values (${id})`
    await waitFor(() => get(key), { what: 'the order' })
    assert.equal(await get(`{${key}}:absent`), null)
  })

  test('without a lease settle answers what is there by now, stores nothing, and leaves the mark', async () => {
    const { id, key } = await insertOrder()
    const found = await readDatabase(system.sql, STATUS_QUERY, id)
    const there = await settle(system.redis, status, key, WITHOUT_LEASE, found, ['k'], ['x'])
    assert.deepEqual(there, ['k', await get(key)])
    await command('UNLINK', key)
    const store = toStore(status, found)
    assert.deepEqual(await settle(system.redis, status, key, WITHOUT_LEASE, found, ['k'], store), ['n'])
    assert.deepEqual([await get(key), await get(`{${key}}:answered`)], [null, found.insertLsn])
  })

  test('L7: a read that presents a token sees that write, at once, every time', async () => {
    const { id, key } = await insertOrder()
    let afresh = 0
    for (let round = 1; round <= 50; round++) {
      const token = await writeWithToken(system.sql, `update orders set status = 'S${round}' where id = '${id}'`)
      const present = JSON.parse((await get(key)) ?? '{"_v":""}') as { _v: string; status?: string }
      if (satisfies(present._v, token)) {
        assert.equal(present.status, `S${round}`)
        continue
      }
      afresh++
      const held = await lease(system.redis, status, key, true)
      const found = await readDatabase(system.sql, STATUS_QUERY, id)
      const how = ['t', token.xid, token.lsn]
      const [what, document] = await settle(system.redis, status, key, held, found, how, toStore(status, found))
      const text = what === 'k' ? document : found.rows[0]?.document
      assert.match(text ?? '', new RegExp(`"status":"S${round}"`))
    }
    assert.ok(afresh > 0, 'some reads came before the change: else this would show nothing')
  })

  test('the order service takes tokens of this form, and gives them', async () => {
    const { id } = await insertOrder()
    const token = await writeWithToken(system.sql, `update orders set status = 'CONFIRMED' where id = '${id}'`)
    const url = `${system.orderUrl}/api/orders/${id}/status`
    const response = await fetch(url, { headers: { 'x-freshness-token': `${token.xid}-${token.lsn}` } })
    assert.deepEqual(((await response.json()) as { status: string }).status, 'CONFIRMED')
    const written = await fetch(`${system.orderUrl}/api/orders/${id}/process`, { method: 'POST' })
    assert.match(written.headers.get('x-freshness-token') ?? '', /^\d+-[0-9A-F]{16}$/)
  })

  test('settling with e and x removes what is there, also with the snapshot of nobody', async () => {
    const { id, key } = await insertOrder()
    const [row] = await system.sql<{ lsn: string }[]>`select pg_current_wal_insert_lsn()::text as lsn`
    const insertLsn = fixedLsn(row?.lsn ?? '')
    const late = { snapshot: '3:3:', insertLsn }
    assert.deepEqual(await settle(system.redis, status, key, WITHOUT_LEASE, late, ['e'], ['x']), ['n'])
    assert.deepEqual([await get(key), await get(`{${key}}:answered`)], [null, insertLsn])
    await system.sql`update orders set status = 'CONFIRMED' where id = ${id}`
    await waitFor(() => get(key), { what: 'the next change to bring it back' })
  })

  test('P1: what this reader has stored is what the database has', async () => {
    const { sql, redis } = system
    const report = await verifyOnce(
      { sql, redis, views: compileViews(config.views) },
      { signal: AbortSignal.timeout(30_000) },
    )
    assert.ok(report.checkedKeys > 5)
    assert.deepEqual([report.staleKeys, report.otherCodeKeys, report.failedKeys], [0, 0, 0])
  })

  test('L2: positions have the form of the page, and a Redis that lost them is not trusted until it has caught up', async () => {
    const greatest: (string | null)[] = []
    assert.ok(await isTrusted(system.redis, greatest))
    for (const position of greatest) assert.match(position ?? '', /^[\w.-]+\|[0-9A-F]{16}\/\d{10}$/)
    await system.stop()
    await command('FLUSHALL')
    assert.equal(await isTrusted(system.redis, greatest), false)
    await system.restart()
    await waitFor(() => isTrusted(system.redis, greatest), { what: 'the consumers to have caught up' })
  })
})
