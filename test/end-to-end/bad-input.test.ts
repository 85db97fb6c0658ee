import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'

import { descendantsOf, type Ended, runCli, startCli, upSite } from '../support/process.ts'
import { testSystem } from '../support/system.ts'
import { makeTestDirectory, removeTestDirectory } from '../support/test-directory.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'

const ROOT = join(import.meta.dirname, '../..')

/** One line on standard error, and nothing else. */
function assertOneLine({ stdout, stderr }: Ended, expected: RegExp): void {
  assert.equal(stdout, '')
  assert.match(stderr, expected)
  assert.match(stderr, /^trackops( tail)?: [^\n]+\n$/, 'one line')
}

test('a wrong configuration file is one line and status 2, and nothing is started', async (t) => {
  const directory = makeTestDirectory('config')
  t.after(() => removeTestDirectory(directory))
  const config = `import config from '${ROOT}/trackops.config.ts'\n`
  const cases: readonly (readonly [name: string, text: string | null, expected: RegExp])[] = [
    ['missing', null, /there is no such file/],
    ['syntax', 'export default {', /cannot be loaded/],
    ['empty', '', /missing|no default export/],
    ['type', `${config}export default { ...config, views: 7 }`, /views/],
    ['view', `${config}export default { ...config, views: [{ ...config.views[0], ttlSeconds: '1h' }] }`, /ttlSeconds/],
    ['member', `${config}export default { ...config, cashe: {} }`, /cashe/],
    ['throws', 'throw new Error("first line\\nsecond line")', /first line/],
    ['throws-nothing', 'throw undefined', /cannot be loaded/],
    ['import', "import './nowhere.ts'", /cannot be loaded/],
  ]
  for (const [name, text, expected] of cases) {
    const file = join(directory, `${name}.config.ts`)
    if (text !== null) writeFileSync(file, text)
    for (const command of [['up', '--data', join(directory, 'data')], ['verify']]) {
      const ended = await runCli(t, command, { TRACKOPS_CONFIG: file })
      assert.equal(ended.exitCode, 2, `${name}: ${ended.stderr}`)
      assertOneLine(ended, expected)
    }
  }
})

test('bad usage is one line and status 2', async (t) => {
  for (const [args, expected] of [
    [['frobnicate'], /There is no command "frobnicate"/],
    [['--frobnicate'], /There is no option "--frobnicate"/],
    [['up', '--frobnicate'], /frobnicate/],
    [['up', '--seed', 'many'], /--seed/],
    [['up', 'now'], /now/],
    [['run'], /at least one role/],
    [['run', 'capture'], /order-event-consumer, cache-invalidator, cache-warmer/],
    [['run', 'cache-warmer', 'console'], /capture/],
    [['run', 'nobody'], /no role "nobody"/],
    [['dlq', 'show', 'x'], /number of a dead letter/],
    [['inspect'], /./],
    [['tail', '--set', 'no.such.property=1'], /no\.such\.property/],
  ] as const) {
    const ended = await runCli(t, args)
    assert.equal(ended.exitCode, 2, `${args.join(' ')}: ${ended.stderr}`)
    assertOneLine(ended, expected)
  }
  const port = await runCli(t, ['up'], { TRACKOPS_CONSOLE_PORT: 'http' })
  assert.equal(port.exitCode, 2)
  assertOneLine(port, /TRACKOPS_CONSOLE_PORT/)
})

test('a taken port is one line that names its variable, and nothing is left running', async (t) => {
  const site = await upSite(t)
  for (const variable of ['POSTGRES', 'REDIS', 'ORDER', 'INVENTORY', 'CONSOLE'].map(
    (name) => `TRACKOPS_${name}_PORT`,
  )) {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(Number(site.env[variable]), '127.0.0.1', resolve))
    const running = site.up()
    const children: number[] = []
    const watching = setInterval(() => {
      void descendantsOf(running.pid).then((found) => children.push(...found))
    }, 50)
    const ended = await running.ended
    clearInterval(watching)
    await new Promise((resolve) => server.close(resolve))
    assert.equal(ended.exitCode, 1, `${variable}: ${ended.stdout}${ended.stderr}`)
    assertOneLine(ended, new RegExp(variable))
    assert.deepEqual(children.filter(isAlive), [], `${variable}: something is left`)
  }
})

test('a server that refuses is one line without its password, and nothing is left running', async (t) => {
  const site = await upSite(t)
  for (const [env, expected] of [
    [{ DATABASE_URL: 'postgres://u:geheim@127.0.0.1:1/x' }, /127\.0\.0\.1:1/],
    [{ REDIS_URL: 'redis://:geheim@127.0.0.1:1/0' }, /127\.0\.0\.1:1/],
    [{ DATABASE_URL: 'mysql://u:geheim@x/y' }, /DATABASE_URL/],
    [{ REDIS_URL: 'not a url geheim' }, /REDIS_URL/],
  ] as const) {
    const ended = await startCli(t, ['up', '--data', site.dataDirectory], { ...site.env, ...env }).ended
    assert.ok(ended.exitCode === 1 || ended.exitCode === 2, ended.stderr)
    assertOneLine(ended, expected)
    assert.doesNotMatch(ended.stderr, /geheim/)
  }
})

test('column types that nobody has seen before, and odd names, do not stop the stream', async (t) => {
  const system = await testSystem(t)
  const { sql, redis } = system
  await sql.unsafe(`
    create type mood as enum ('sad', 'happy');
    create type pair as (a int, b text);
    create domain positive as int check (value > 0);
    alter table orders add column "Odd ""Name"" ü" mood default 'sad', add column p pair, add column d positive,
      add column r tstzrange, add column m int4multirange, add column b bit varying(5), add column x xml, add column j jsonb,
      add column arr pair[], add column t tsvector, add column c cidr, add column mo money, add column pt point,
      add column o oid;
  `)
  const [row] = await sql<{ id: string }[]>`
    insert into orders (customer_id, total_amount, p, d, r, m, b, j, arr, t, c, mo, pt, o)
    values (gen_random_uuid(), 2, '(1,"x,y")', 3, '[2020-01-01,)', '{[1,3)}', '101', '{"a": [1]}', array['(1,a)'::pair], 'a b', '10.0.0.0/8', 5, '(1,2)', 7)
    returning id::text`
  await caughtUp(system)
  assert.match((await redis.get(`order:entity:${row?.id}`)) ?? '', /"2\.00"/)
  await sql.unsafe(`create table odd (id int primary key, m mood); insert into odd values (1, 'happy'); drop table odd`)
  await sql`update orders set status = 'AFTER', total_amount = 'NaN' where id = ${row?.id ?? ''}`
  await caughtUp(system)
  assert.match((await redis.get(`order:entity:${row?.id}`)) ?? '', /"NaN"/)
  await sql.unsafe(`alter type mood add value 'tired'`)
  await sql.unsafe(`update orders set "Odd ""Name"" ü" = 'tired'`)
  // Types without an equality operator: whoever updates such a column alone must be able to, and an update that changes nothing.
  await sql.unsafe(`alter table orders add column plain json`)
  await sql.unsafe(`update orders set plain = '{"a": 1}', x = '<a/>', pt = '(3,4)'`)
  await sql.unsafe(`update orders set plain = plain`)
  await caughtUp(system)
  assert.equal((await statusOf(system)).deadLetters, 0)
  await assertNothingStale(system)
})

test('bad requests are problem documents, and nothing is half written', async (t) => {
  const { sql, orderUrl, inventoryUrl } = await testSystem(t)
  const order = { customerId: crypto.randomUUID(), items: [{ productId: 'p', quantity: 1, unitPrice: '1' }] }
  const json = { 'content-type': 'application/json' }
  const created = await fetch(`${orderUrl}/api/orders`, { method: 'POST', headers: json, body: JSON.stringify(order) })
  const { id } = (await created.json()) as { id: string }
  const [before] = await sql<{ n: number }[]>`select count(*)::int as n from orders`
  const nobody = crypto.randomUUID()
  const cases: readonly (readonly [status: number, method: string, path: string, body?: string, type?: string])[] = [
    [400, 'POST', '/api/orders', '{"customerId": '],
    [400, 'POST', '/api/orders', ''],
    [400, 'POST', '/api/orders', '[]'],
    [400, 'POST', '/api/orders', JSON.stringify({ ...order, customerId: 'x' })],
    [
      400,
      'POST',
      '/api/orders',
      JSON.stringify({ ...order, items: [{ productId: 'p', quantity: 0, unitPrice: '1' }] }),
    ],
    [
      400,
      'POST',
      '/api/orders',
      JSON.stringify({ ...order, items: [{ productId: 'p', quantity: 1, unitPrice: '1e99' }] }),
    ],
    [413, 'POST', '/api/orders', JSON.stringify({ ...order, deliveryInstructions: 'x'.repeat(10 * 1024 * 1024) })],
    [415, 'POST', '/api/orders', 'a=b', 'application/x-www-form-urlencoded'],
    [400, 'PUT', `/api/orders/${id}/status`, '{"status": "LOST"}'],
    [400, 'PUT', `/api/orders/${id}/status`, '{"status": 7}'],
    [409, 'POST', `/api/orders/${id}/deliver`],
    [404, 'PUT', `/api/orders/${nobody}/status`, '{"status": "CONFIRMED"}'],
    [400, 'GET', '/api/orders/not-an-id'],
    [404, 'GET', `/api/orders/${nobody}`],
    [404, 'GET', '/api/nothing'],
  ]
  for (const [status, method, path, body, type] of cases) {
    const response = await fetch(`${orderUrl}${path}`, {
      method,
      ...(body === undefined ? {} : { body, headers: { 'content-type': type ?? 'application/json' } }),
    })
    const text = await response.text()
    assert.equal(response.status, status, `${method} ${path} ${body?.slice(0, 80)}: ${text.slice(0, 200)}`)
    assert.equal(response.headers.get('content-type')?.split(';')[0], 'application/problem+json')
    assert.ok((JSON.parse(text) as { type: string }).type.startsWith('urn:trackops:problem:'))
  }
  const stock = await fetch(`${inventoryUrl}/api/inventory/p`, { method: 'PUT', headers: json, body: '{"onHand": -1}' })
  assert.equal(stock.status, 400)
  const [after] = await sql<{ n: number }[]>`select count(*)::int as n from orders`
  assert.deepEqual(after, before)
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
