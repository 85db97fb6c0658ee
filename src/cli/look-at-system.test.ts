/** verify, inspect, forget and preflight against the order system, as a person would call them. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { test, type TestContext } from 'node:test'

import config from '../../trackops.config.ts'
import { testSystem, type TestSystem } from '../../test/support/system.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { preflight } from '../roles/preflight/preflight.ts'
import type { VerifyReport } from '../verify/verify.ts'
import { COMMANDS } from './commands.ts'
import { dispatch } from './dispatch.ts'

interface Called {
  readonly status: number
  readonly out: string
  readonly err: string
  readonly lastLine: string
}

async function call(
  system: TestSystem,
  argv: readonly string[],
  options: { readonly signal?: AbortSignal; readonly onOut?: (text: string) => void } = {},
): Promise<Called> {
  const texts = { out: '', err: '' }
  const collect = (name: 'out' | 'err'): PassThrough =>
    new PassThrough().on('data', (data: Buffer) => {
      texts[name] += data.toString()
      if (name === 'out') options.onOut?.(texts.out)
    })
  const io = {
    stdout: collect('out'),
    stderr: collect('err'),
    env: {
      DATABASE_URL: system.urls.source,
      INVENTORY_DATABASE_URL: system.urls.databases['inventory'],
      REDIS_URL: system.urls.redis,
    },
    cwd: '/',
    signal: options.signal ?? new AbortController().signal,
  }
  const status = await dispatch(argv, io, { commands: COMMANDS, version: 'test' })
  await new Promise((resolve) => setImmediate(resolve))
  return { status, ...texts, lastLine: texts.out.trimEnd().split('\n').at(-1) ?? '' }
}

/** Orders of one customer, warmed by their changes; the customer's list filled by a read. */
async function someOrders(
  t: TestContext,
  count = 5,
): Promise<{ system: TestSystem; ids: readonly string[]; customer: string }> {
  const system = await testSystem(t)
  const customer = randomUUID()
  const rows = await system.sql<{ id: string }[]>`
    insert into orders (customer_id, total_amount) select ${customer}, 12.50 from generate_series(1, ${count}::int) returning id`
  const ids = rows.map(({ id }) => id)
  await waitFor(() => system.redis.exists(ids.flatMap((id) => [`order:entity:${id}`, `order:status:${id}`])), {
    what: 'the orders to be warmed',
    until: (found) => found === 2 * count,
  })
  const list = await fetch(`${system.orderUrl}/api/customers/${customer}/orders`)
  assert.equal(list.status, 200)
  return { system, ids, customer }
}

test('verify says 0 stale and exits 0; with a planted fault it names the key, never its value, and exits 1', async (t) => {
  const { system, ids, customer } = await someOrders(t)
  const right = await call(system, ['verify'])
  assert.deepEqual([right.status, right.lastLine], [0, 'checked 11 keys: 0 stale'])

  const key = `order:status:${ids[0]}`
  const value = (await system.redis.get(key)) ?? ''
  await system.redis.set(key, value.replace('PENDING', 'SHIPPED'))
  await system.redis.hDel(`orders:customer:${customer}`, ids[1] ?? '')
  const wrong = await call(system, ['verify'])
  assert.deepEqual([wrong.status, wrong.lastLine], [1, 'checked 11 keys: 2 stale'])
  assert.match(wrong.out, new RegExp(`^stale +${key}$`, 'm'))
  assert.match(wrong.out, new RegExp(`^hole +orders:customer:${customer}$`, 'm'))
  assert.doesNotMatch(wrong.out, /SHIPPED|PENDING/)

  const json = await call(system, ['verify', '--json'])
  const report = JSON.parse(json.out) as VerifyReport
  assert.deepEqual([json.status, report.staleKeys, report.checkedKeys], [1, 2, 11])
})

test('P1: verify finds nothing while rows change as fast as they can', async (t) => {
  const { system, ids } = await someOrders(t, 300)
  const stop = new AbortController()
  const writing = (async () => {
    for (let turn = 0; !stop.signal.aborted; turn++) {
      const id = ids[turn % ids.length] ?? ''
      await system.sql`update orders set total_amount = total_amount + 1, version = version + 1 where id = ${id}`
    }
  })()
  try {
    for (let round = 0; round < 5; round++) {
      const { status, out } = await call(system, ['verify'])
      assert.equal(status, 0, out)
    }
  } finally {
    stop.abort()
    await writing
  }
})

test('verify --watch prints a line an interval until it is interrupted', async (t) => {
  const { system } = await someOrders(t)
  const stop = new AbortController()
  const watched = await call(system, ['verify', '--watch', '--rate', '100000', '--interval', '0.2'], {
    signal: stop.signal,
    onOut: (out) => {
      if (out.split('\n').length > 2) stop.abort()
    },
  })
  assert.equal(watched.status, 0)
  assert.match(watched.out, /^(checked \d+ keys: 0 stale, 0 wrong, 0 missing; 0 in flight; \d\.\d nines of \d+\n){2}$/)
})

test('inspect shows a key and the row beside it, as text and as JSON; a key of no view is one line and exit 1', async (t) => {
  const { system, ids, customer } = await someOrders(t)
  const text = await call(system, ['inspect', `order:status:${ids[0]}`])
  assert.equal(text.status, 0)
  assert.match(text.out, /^view +order-status \(row\)$/m)
  assert.match(text.out, /^version +from the change at LSN [0-9A-F]+\/[0-9A-F]+ \(xid \d+\), code [0-9a-f]{8}$/m)
  assert.match(text.out, /^row +\{"status":"PENDING"/m)
  assert.match(text.out, /^agrees +yes$/m)
  const json = await call(system, ['inspect', `orders:customer:${customer}`, '--json'])
  const inspection = JSON.parse(json.out) as { agrees: boolean; cached: { value: object } }
  assert.deepEqual([inspection.agrees, Object.keys(inspection.cached.value).length], [true, 5])
  const unknown = await call(system, ['inspect', 'session:1'])
  assert.deepEqual([unknown.status, unknown.out], [1, ''])
  assert.match(unknown.err, /session:1 is a key of no view/)
})

test('forget drops the keys of one view, or of all, and says how many; an unknown view is bad usage', async (t) => {
  const { system } = await someOrders(t)
  const one = await call(system, ['forget', 'order-status'])
  assert.deepEqual([one.status, one.out], [0, 'order-status: 5 keys forgotten\n'])
  const all = await call(system, ['forget'])
  assert.deepEqual([all.status, all.out], [0, 'all views: 6 keys forgotten\n'])
  const unknown = await call(system, ['forget', 'order-statsu'])
  assert.deepEqual([unknown.status, unknown.out], [2, ''])
  assert.match(unknown.err, /order-entity, order-status, order-items, customer-orders/)
})

test('preflight finds nothing in a running order system', async (t) => {
  const system = await testSystem(t)
  const [slot] = await system.sql<{ name: string }[]>`
    select slot_name::text as name from pg_replication_slots where database = current_database()`
  assert.ok(slot)
  const source = { ...config.source, slot: slot.name, publication: slot.name }
  const loaded = { config: { ...config, source }, directory: '/', file: '/none' }
  const { findings, checks } = await preflight(loaded, system.urls)
  assert.deepEqual(findings, [])
  assert.equal(checks.length, 9)
})

test('preflight prints finding, consequence and mend, and exits 1 when something is an error', async (t) => {
  const system = await testSystem(t)
  // The configuration of the clone names another publication and slot than the test's system: no error, but worth telling.
  const text = await call(system, ['preflight'])
  assert.deepEqual([text.status, text.err], [0, ''])
  assert.match(text.out, /^INFO publication-missing: .*\n {2}consequence: .*\n {2}mend: create publication /m)
  await system.redis.configSet('maxmemory-policy', 'allkeys-lru')
  const json = await call(system, ['preflight', '--json'])
  const report = JSON.parse(json.out) as { ok: boolean; findings: { id: string }[] }
  assert.equal(json.status, 1)
  assert.equal(report.ok, false)
  assert.ok(report.findings.some(({ id }) => id === 'redis-evicts-fences'))
})
