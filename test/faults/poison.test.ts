import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { createRedisClient } from '../../src/roles/redis-client.ts'
import { SILENT } from '../../src/runtime/logger.ts'
import { runCli, upSite } from '../support/process.ts'
import { caughtUp } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'

const ROOT = join(import.meta.dirname, '../..')

/** The order system with a status view that throws for one status, and for one that looks like an error of ours. */
const POISONED = `
import config from '${ROOT}/trackops.config.ts'
const views = config.views.map((view) => view.name !== 'order-status' ? view : { ...view, document: (row) => {
  if (row.status === 'POISON') throw new TypeError('secret ' + row.id)
  return view.document(row)
} })
const up = (database) => ({ ...database, migrations: '${ROOT}/' + database.migrations })
export default { ...config, source: up(config.source), databases: { inventory: up(config.databases.inventory) }, views }
`
const MENDED = POISONED.replace("row.status === 'POISON'", 'false')

test('L4: a row that a view cannot take harms its own key; mended, a replay fills it', async (t) => {
  const site = await upSite(t)
  const file = join(site.dataDirectory, 'poisoned.config.ts')
  writeFileSync(file, POISONED)
  const env = { ...site.env, TRACKOPS_CONFIG: file }
  const running = site.up(env)
  await running.ready()
  const sql = createPostgresPool(site.urls.source, { applicationName: 'test', maxConnections: 2 })
  t.after(() => sql.end({ timeout: 1 }))
  const redis = createRedisClient(site.urls.redis, { name: 'test', log: SILENT })
  await redis.connect()
  t.after(() => redis.destroy())

  const [poisoned, fine] = [crypto.randomUUID(), crypto.randomUUID()]
  await sql`insert into orders (id, status) values (${poisoned}, 'PENDING'), (${fine}, 'PENDING')`
  await sql.begin(async (tx) => {
    await tx`update orders set status = 'POISON' where id = ${poisoned}`
    await tx`update orders set status = 'FINE' where id = ${fine}`
  })
  await sql`insert into orders (status) values ('LATER')`
  await caughtUp(site)
  assert.equal(await redis.get(`order:status:${poisoned}`), null, 'the key of the poisoned row is invalidated')
  assert.match((await redis.get(`order:entity:${poisoned}`)) ?? '', /POISON/)
  assert.match((await redis.get(`order:status:${fine}`)) ?? '', /FINE/)
  assert.equal((await fetch(`${site.orderUrl}/api/orders/${poisoned}`)).status, 200)
  const read = await fetch(`${site.orderUrl}/api/orders/${poisoned}/status`)
  assert.ok(read.status >= 500 && read.headers.get('content-type')?.startsWith('application/problem+json'))

  const list = await runCli(t, ['dlq', 'list'], env)
  assert.equal(list.exitCode, 0, list.stderr)
  assert.match(list.stdout, /order-status .*VIEW_FAILED.*\n1 dead letter\n$/)
  assert.doesNotMatch(list.stdout, /secret/)
  const shown = await runCli(t, ['dlq', 'show', list.stdout.split(/\s/)[0] ?? ''], env)
  assert.equal((JSON.parse(shown.stdout) as { source: string }).source, 'public.orders > order-status')
  assert.doesNotMatch(shown.stdout, /secret/)
  const again = await runCli(t, ['dlq', 'replay', '--all'], env)
  assert.equal(again.exitCode, 1, 'it is still poison')

  await running.end('SIGTERM')
  writeFileSync(file, MENDED)
  const mended = site.up(env)
  await mended.ready()
  const replayed = await runCli(t, ['dlq', 'replay', '--all'], env)
  assert.equal(replayed.exitCode, 0, replayed.stdout + replayed.stderr)
  await waitFor(async () => (await redis.get(`order:status:${poisoned}`))?.includes('POISON'), { what: 'the key' })
  assert.match((await runCli(t, ['dlq', 'list'], env)).stdout, /^0 dead letters\n$/)
  assert.equal((await mended.end('SIGTERM')).exitCode, 0)
})
