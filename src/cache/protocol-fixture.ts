/** For the tests of this folder: a Redis, views over one table, and changes told by few words. */
import { createClient } from '@redis/client'

import { defer, type TestScope } from '../../test/support/defer.ts'
import { testRedis } from '../../test/support/redis.ts'
import { lsnToFixedHex, toLsn } from '../change/lsn.ts'
import { SILENT } from '../runtime/logger.ts'
import { type CompiledView, compileViews, type CompiledViews } from './compiled-view.ts'
import type { KeyAction, KeyOperation, MemberOperation } from './key-operation.ts'
import {
  type Batch,
  type BatchOutcome,
  type CacheProtocol,
  createCacheProtocol,
  type CacheProtocolOptions,
} from './protocol.ts'
import { callRedis, type RedisConnection } from './redis-call.ts'
import { type Document, listView, queryView, type Row, rowView, type View } from './view.ts'

const document = (row: Row): Document => ({ id: row['id'] ?? null, status: row['status'] ?? null })
const columns = ['id', 'status']

export const SHOP_VIEWS: readonly View[] = [
  rowView({
    name: 'entity',
    key: 'item:{id}',
    table: 'public.items',
    ttlSeconds: 3600,
    warm: 'all',
    columns,
    document,
  }),
  rowView({ name: 'hot', key: 'hot:{id}', table: 'public.items', ttlSeconds: 1800, warm: 'cached', columns, document }),
  rowView({ name: 'cold', key: 'cold:{id}', table: 'public.items', ttlSeconds: 60, warm: 'none', columns, document }),
  listView({
    name: 'by-owner',
    key: 'items:owner:{owner}',
    table: 'public.items',
    ttlSeconds: 3600,
    warm: 'cached',
    columns: [...columns, 'owner'],
    member: 'id',
    document,
  }),
  queryView({
    name: 'count',
    key: 'count:{owner}',
    sql: 'select count(*) as items from public.items where owner = $1::text',
    ttlSeconds: 600,
    warm: 'cached',
    dependsOn: [
      {
        table: 'public.items',
        columns: ['owner'],
        keys: ({ owner }) => (typeof owner === 'string' ? [{ owner }] : []),
      },
    ],
  }),
]

export type RawRedis = RedisConnection & { command(...args: string[]): Promise<unknown> }

/** A client that fails at once while Redis is away, as production's does. */
export async function connectRedis(scope: TestScope, url: string): Promise<RawRedis> {
  const client = createClient({ url, disableOfflineQueue: true, socket: { reconnectStrategy: 20 } })
  client.on('error', () => undefined)
  await client.connect()
  defer(scope, () => client.destroy())
  return Object.assign(client as RedisConnection, { command: (...args: string[]) => callRedis(client, args, 5000) })
}

export interface ProtocolFixture {
  readonly redis: RawRedis
  readonly url: string
  readonly stopRedis: () => Promise<void>
  readonly startRedis: () => Promise<void>
  readonly views: CompiledViews
  readonly protocol: CacheProtocol
  readonly view: (name: string) => CompiledView
  /** Applies one batch from where the roles stand; throws unless it was applied. */
  readonly apply: (role: Batch['role'], to: number, ...operations: KeyOperation[]) => Promise<readonly string[]>
  readonly tryApply: (
    role: Batch['role'],
    from: Batch['from'],
    to: number,
    ...operations: KeyOperation[]
  ) => Promise<BatchOutcome>
  readonly get: (key: string) => Promise<string | null>
}

export async function protocolFixture(
  scope: TestScope,
  options: Partial<CacheProtocolOptions> & {
    readonly definitions?: readonly View[]
    readonly settings?: Record<string, string>
  } = {},
): Promise<ProtocolFixture> {
  const server = await testRedis(scope, options.settings ? { settings: options.settings } : {})
  const redis = await connectRedis(scope, server.url)
  const views = options.views ?? compileViews(options.definitions ?? SHOP_VIEWS)
  const protocol = createCacheProtocol({ redis, log: SILENT }, { ...options, views })
  defer(scope, () => protocol.close())
  const tryApply: ProtocolFixture['tryApply'] = (role, from, to, ...operations) =>
    protocol.apply({ role, from, to: at(to), operations })
  return {
    redis,
    url: server.url,
    stopRedis: () => server.stop(),
    startRedis: () => server.start(),
    views,
    protocol,
    view: (name) => views.byName(name),
    tryApply,
    async apply(role, to, ...operations) {
      const outcome = await tryApply(role, await protocol.positions(), to, ...operations)
      if (!outcome.ok) throw new Error('the positions did not fit')
      return outcome.refill.map(({ key }) => key)
    },
    async get(key) {
      const reply = await redis.command('GET', key)
      return typeof reply === 'string' ? reply : null
    },
  }
}

/** A position of the fixture's one history. */
export const at = (number: number, history = 'h1'): string => `${history}|${place(number)}`

const place = (number: number): string => `${lsnToFixedHex(toLsn(BigInt(number)))}/0000000001`

/** An operation whose transaction is `xid`, and which stands at position `number`; its LSN is that too unless given. */
export function operation(
  view: CompiledView,
  key: string,
  number: number,
  action: KeyAction,
  more: { readonly lsn?: number; readonly xids?: readonly number[] } = {},
): KeyOperation {
  return {
    view,
    key,
    lsn: toLsn(BigInt(more.lsn ?? number)),
    position: place(number),
    xids: (more.xids ?? [number]).map(BigInt),
    action,
  }
}

export const value = (status: string): KeyAction => ({ kind: 'value', document: JSON.stringify({ status }) })
export const GONE: KeyAction = { kind: 'gone' }
export const INVALIDATE: KeyAction = { kind: 'invalidate', refill: false }
export const REFILL: KeyAction = { kind: 'invalidate', refill: true }
export const PREWARM: KeyAction = { kind: 'prewarm' }

export const members = (...list: MemberOperation[]): KeyAction => ({ kind: 'members', members: list })
export const member = (field: string, lsn: number, status: string | null, xid = lsn): MemberOperation => ({
  field,
  lsn: toLsn(BigInt(lsn)),
  xids: [BigInt(xid)],
  document: status === null ? null : JSON.stringify({ id: field, status }),
})

/** The member `status` of a document, without its version. */
export const statusOf = (text: string | null | undefined): string | null =>
  text === null || text === undefined ? null : String((JSON.parse(text) as { status?: unknown }).status)
