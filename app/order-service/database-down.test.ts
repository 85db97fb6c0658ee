import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { Registry } from 'prom-client'

import { defer } from '../../test/support/defer.ts'
import { ownPostgres } from '../../test/support/postgres.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { createDirectReader } from '../test-support/direct-reader.ts'
import { SILENT } from '../test-support/order-system.ts'
import { createOrderServer } from './order-service.ts'

test('while the database is down, writes and reads are 503 with retry-after; when it is back, they work, and nothing was half written', async (t) => {
  const server = await ownPostgres(t)
  const { sql } = server
  const directory = join(import.meta.dirname, '..', 'migrations', 'orders')
  for (const file of readdirSync(directory).toSorted()) await sql.unsafe(readFileSync(join(directory, file), 'utf8'))
  const app = await createOrderServer({
    log: SILENT,
    metrics: new Registry(),
    orders: sql,
    cache: createDirectReader(sql),
  })
  defer(t, () => app.close())
  const payload = { customerId: randomUUID(), items: [{ productId: 'A', quantity: 1, unitPrice: '1.00' }] }
  const create = async () => await app.inject({ method: 'POST', url: '/api/orders', payload })
  const first = await create()
  assert.equal(first.statusCode, 201)
  const { id } = first.json<{ id: string }>()

  await server.kill()
  const answers = await Promise.all([
    create(),
    app.inject({ method: 'POST', url: `/api/orders/${id}/confirm` }),
    app.inject({ method: 'DELETE', url: `/api/orders/${id}` }),
    app.inject({ url: `/api/orders/${id}` }),
  ])
  for (const answer of answers) {
    assert.equal(answer.statusCode, 503, answer.body)
    assert.match(String(answer.headers['retry-after']), /^\d+$/)
    assert.equal(answer.json<{ type: string }>().type, 'urn:trackops:problem:unavailable')
  }

  await server.start()
  const back = await waitFor(create, {
    what: 'the service to write again',
    until: (answer) => answer.statusCode === 201,
  })
  assert.notEqual(back.json<{ id: string }>().id, id)
  const orders = await sql`select status, version::int from orders where id = ${id}`
  assert.deepEqual([...orders], [{ status: 'PENDING', version: 0 }])
  const [torn] = await sql`
    select count(*)::int as count from orders where not exists (select from order_items where order_id = orders.id)`
  assert.equal(torn?.count, 0)
})
