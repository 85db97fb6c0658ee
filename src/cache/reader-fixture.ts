/** For the tests of the reader: PostgreSQL with the table of SHOP_VIEWS, Redis, and readers over both. */
import type { Sql } from 'postgres'

import { defer, type TestScope } from '../../test/support/defer.ts'
import { testPostgres } from '../../test/support/postgres.ts'
import { parseLsn } from '../change/lsn.ts'
import { SILENT } from '../runtime/logger.ts'
import {
  createCacheReader,
  type CacheReaderDeps,
  type CacheReaderOptions,
  type RunningCacheReader,
} from './create-cache-reader.ts'
import type { KeyAction, KeyOperation } from './key-operation.ts'
import { at, connectRedis, protocolFixture, type ProtocolFixture } from './protocol-fixture.ts'
import type { CompiledView } from './compiled-view.ts'
import type { View } from './view.ts'

export interface ReaderFixture extends ProtocolFixture {
  readonly sql: Sql
  readonly reader: RunningCacheReader
  /** A reader with a connection of its own, as in another process. */
  readonly anotherReader: (
    deps?: Partial<CacheReaderDeps>,
    options?: Partial<CacheReaderOptions>,
  ) => Promise<RunningCacheReader>
  /** Runs SQL and gives what a change event of it would carry: its transaction and a place in the WAL between those around it. */
  readonly change: (statement: string) => Promise<Happened>
  /** Processes a change as a consumer that is both; the position is the change's own. */
  readonly process: (
    happened: Happened,
    view: CompiledView,
    key: string,
    action: KeyAction,
  ) => Promise<readonly string[]>
}

export interface Happened {
  readonly xid: bigint
  /** Below the commit, above everything before the statement. */
  readonly lsn: ReturnType<typeof parseLsn>
}

const TABLE = `create table public.items (id text primary key, owner text, status text, note text)`

export async function readerFixture(
  scope: TestScope,
  settings: {
    readonly deps?: Partial<CacheReaderDeps>
    readonly options?: Partial<CacheReaderOptions>
    readonly definitions?: readonly View[]
    readonly table?: string
  } = {},
): Promise<ReaderFixture> {
  const { sql } = await testPostgres(scope)
  await sql.unsafe(settings.table ?? TABLE)
  const fixture = await protocolFixture(scope, settings.definitions ? { definitions: settings.definitions } : {})
  await fixture.protocol.reposition('invalidate', null, at(1))
  await fixture.protocol.reposition('warm', null, at(1))

  const readerOver = (
    redis: CacheReaderDeps['redis'],
    deps: Partial<CacheReaderDeps>,
    options: Partial<CacheReaderOptions>,
  ): RunningCacheReader => {
    const reader = createCacheReader(
      { redis, sql, log: SILENT, ...settings.deps, ...deps },
      { views: fixture.views, trustIntervalMs: 20, ...settings.options, ...options },
    )
    defer(scope, () => reader.close())
    return reader
  }

  return {
    ...fixture,
    sql,
    reader: readerOver(fixture.redis, {}, {}),
    async anotherReader(deps = {}, options = {}) {
      return readerOver(await connectRedis(scope, fixture.url), deps, options)
    },
    async change(statement) {
      return await sql.begin(async (tx) => {
        const [before] = await tx<{ lsn: string }[]>`select pg_current_wal_insert_lsn()::text as lsn`
        await tx.unsafe(statement)
        const [after] = await tx<{ xid: string }[]>`select pg_current_xact_id()::text as xid`
        return { xid: BigInt(after?.xid ?? 0), lsn: parseLsn(before?.lsn ?? '') }
      })
    },
    async process({ xid, lsn }, view, key, action) {
      const from = await fixture.protocol.positions()
      const position = `${lsn.toString(16).toUpperCase().padStart(16, '0')}/0000000001`
      const operation: KeyOperation = { view, key, lsn, position, xids: [xid], action }
      const outcome = await fixture.protocol.apply({
        role: 'both',
        from,
        to: `h1|${position}`,
        operations: [operation],
      })
      if (!outcome.ok) throw new Error('the positions did not fit')
      return outcome.refill.map(({ key: refilled }) => refilled)
    },
  }
}
