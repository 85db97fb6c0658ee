/**
 * How many keys a second one consumer brings into Redis through the atomic call, with documents of 400 bytes.
 *
 *   REDIS_URL=redis://127.0.0.1:6379 node bench/cache-apply.ts [keys a call = 500] [calls on their way = 3] [seconds = 3] [role = both]
 *
 * The Redis is flushed.
 */
import { createClient } from '@redis/client'

import { compileViews } from '../src/cache/compiled-view.ts'
import type { KeyOperation } from '../src/cache/key-operation.ts'
import { createCacheProtocol, type Batch } from '../src/cache/protocol.ts'
import { rowView } from '../src/cache/view.ts'
import { lsnToFixedHex, toLsn } from '../src/change/lsn.ts'
import { SILENT } from '../src/runtime/logger.ts'

const [keysPerCall = 500, depth = 3, seconds = 3] = process.argv.slice(2, 5).map(Number)
const role = (process.argv[5] ?? 'both') as Batch['role']
const KEYS = 100_000

const redis = createClient({ url: process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379' })
redis.on('error', () => undefined)
await redis.connect()
await redis.sendCommand(['FLUSHALL'])
const columns = ['id']
const views = compileViews([
  rowView({
    name: 'entity',
    key: 'order:entity:{id}',
    table: 'public.orders',
    ttlSeconds: 3600,
    warm: 'all',
    columns,
    document: (row) => ({ id: row['id'] ?? null }),
  }),
])
const view = views.byName('entity')
const protocol = createCacheProtocol({ redis, log: SILENT }, { views })
await protocol.load()

const document = JSON.stringify({
  id: '550e8400-e29b-41d4-a716-446655440000',
  status: 'PENDING',
  text: 'x'.repeat(330),
})
let next = 0
let last: string | null = null
const onTheirWay: Promise<void>[] = []
let applied = 0
const cpuBefore = process.cpuUsage()
const startedAt = performance.now()
while (performance.now() - startedAt < seconds * 1000) {
  const operations: KeyOperation[] = []
  for (let index = 0; index < keysPerCall; index++) {
    next++
    operations.push({
      view,
      key: view.template.format([`550e8400-e29b-41d4-a716-${String(next % KEYS).padStart(12, '0')}`]),
      lsn: toLsn(BigInt(next)),
      position: `${lsnToFixedHex(toLsn(BigInt(next)))}/0000000001`,
      xids: [BigInt(next)],
      action: { kind: 'value', document },
    })
  }
  const to = `h|${lsnToFixedHex(toLsn(BigInt(next)))}/0000000001`
  onTheirWay.push(
    protocol.apply({ role, from: { invalidator: last, warmer: last }, to, operations }).then((outcome) => {
      if (!outcome.ok) throw new Error('the positions did not fit')
      applied += operations.length
    }),
  )
  last = to
  if (onTheirWay.length >= depth) await onTheirWay.shift()
}
await Promise.all(onTheirWay)
const elapsed = (performance.now() - startedAt) / 1000
const { user, system } = process.cpuUsage(cpuBefore)
console.log(
  JSON.stringify({
    role,
    keysPerCall,
    depth,
    keysPerSecond: Math.round(applied / elapsed),
    nodeCpuMicrosPerKey: Number(((user + system) / applied).toFixed(2)),
  }),
)
redis.destroy()
