/**
 * What strangers wrote into Redis: at a key, beside it, and at the keys that belong to the whole cache. The input is a list of Redis
 * commands with K for the key, and which view it is of.
 */
import assert from 'node:assert/strict'

import fc from 'fast-check'

import { createDatabaseReads } from '../../../src/cache/database-read.ts'
import type { CompiledView } from '../../../src/cache/compiled-view.ts'
import type { KeyAction } from '../../../src/cache/key-operation.ts'
import { member, members } from '../../../src/cache/protocol-fixture.ts'
import { readerFixture, type ReaderFixture } from '../../../src/cache/reader-fixture.ts'
import type { ListView, RowView } from '../../../src/cache/view.ts'
import { lsnToFixedHex, parseLsn } from '../../../src/change/lsn.ts'
import { TrackOpsError } from '../../../src/runtime/errors.ts'
import { inspectKey } from '../../../src/verify/inspect-key.ts'
import { waitFor } from '../../support/wait-for.ts'
import type { FuzzTarget } from '../fuzz-target.ts'
import { asBytes, oddText } from '../mutate.ts'

interface Input {
  readonly view: 'entity' | 'hot' | 'by-owner'
  readonly commands: readonly (readonly string[])[]
  /** Only then are the keys of the whole cache written to. */
  readonly isGlobal: boolean
}

const KEYS = { entity: 'item:1', hot: 'hot:1', 'by-owner': 'items:owner:ann' } as const
const GLOBAL = ['generation', 'position:cache-invalidator', 'position:cache-warmer', 'fence:entity', 'fence:by-owner']

/** CODE stands for the view's code: what begins with it looks like ours. */
const VERSIONS = [
  'CODE|e|0000000000000001|1',
  'CODE|e|zzzzzzzzzzzzzzzz|1',
  'CODE|e|FFFF|1',
  'CODE|e|ffffffffffffffff|',
  'CODE|r|1:2:',
  'CODE|r|x:y:z',
  'CODE|r|9:',
  'CODE|',
  'CODE|q|1',
  '00000000|e|0000000000000001|1',
  '',
]
const version = fc.constantFrom(...VERSIONS)
const text = fc.oneof(
  version.map((one) => JSON.stringify({ _v: one, id: '1', status: 'GARBAGE' })),
  version.map((one) => `{"_v":"${one}",`),
  version,
  fc.constantFrom(
    'FFFFFFFFFFFFFFFF||',
    '|',
    '||+',
    'F||',
    'zzz',
    '1;2;3;',
    'token;;;',
    '[]',
    'null',
    '{"_v":1}',
    '{"status":"GARBAGE"}',
  ),
  oddText.map((odd) => odd.toWellFormed()),
)
const key = fc.constantFrom('K', 'K', '{K}:lease', '{K}:fence', '{K}:answered', '{K}:absent')
const field = fc.oneof(
  fc.constantFrom('_v', '_', '_x', '1', 'id', '__proto__'),
  oddText.map((odd) => odd.toWellFormed()),
)
const commandAt = (place: fc.Arbitrary<string>): fc.Arbitrary<string[]> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.constant('SET'), place, text) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('HSET'), place, field, text) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('RPUSH'), place, text) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('SADD'), place, text) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('SETRANGE'), place, fc.nat({ max: 60 }).map(String), text) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('APPEND'), place, text) },
  )

const inputs = asBytes(
  fc.record({
    view: fc.constantFrom('entity', 'hot', 'by-owner'),
    isGlobal: fc.boolean(),
    commands: fc.array(
      fc.oneof(
        { weight: 6, arbitrary: commandAt(key) },
        { weight: 1, arbitrary: commandAt(fc.constantFrom(...GLOBAL.map((one) => `trackops:${one}`))) },
      ),
      { minLength: 1, maxLength: 5 },
    ),
  }),
)

/**
 * Readers are answered what the database has; a consumer goes on, or says REDIS_REFUSED where its own position is broken; and what is
 * in the cache at the end, if a reader would take it, is what the database has. Except for what a stranger forged: an entry of this
 * view with a version of the right form.
 */
export const redisStrangers: FuzzTarget = {
  name: 'redis-strangers',
  async open(scope) {
    const fixture = await readerFixture(scope, { options: { leaseTtlMs: 200 } })
    const { sql, redis } = fixture
    await sql`insert into public.items (id, owner, status) values ('1', 'ann', 'RIGHT')`
    let wasGlobal = true
    return {
      inputs,
      async check(bytes) {
        const input = JSON.parse(bytes.toString('utf8')) as Input
        const { isGlobal } = input
        const commands = input.commands.filter((command) => isGlobal || !command[1]?.startsWith('trackops:'))
        await reset(fixture, wasGlobal)
        wasGlobal = isGlobal
        const view = fixture.view(input.view)
        const k = KEYS[input.view]
        for (const command of commands) await write(fixture, view, k, command)
        if (await isForged(fixture, view, k)) return
        // Whoever looks is told what is there, whatever it is.
        await inspectKey({ redis, timeoutMs: 5000, views: fixture.views, reads: createDatabaseReads({ sql }) }, k)
        await assertAnswer(fixture, view, 'the first read')
        for (const command of commands) await write(fixture, view, k, command)
        if (await isForged(fixture, view, k)) return
        const wasApplied = await change(fixture, view, k)
        assert.ok(wasApplied || isGlobal, 'the consumer goes on')
        await assertAnswer(fixture, view, 'the read behind the change')
        await redis.command('UNLINK', `{${k}}:lease`)
        await assertAnswer(fixture, view, 'the last read')
      },
    }
  },
}

/** As it was before any stranger came; positions only ever go forward, or the reader would not trust this Redis. */
async function reset({ redis, sql, reader }: ReaderFixture, isGlobal: boolean): Promise<void> {
  for (const k of Object.values(KEYS))
    await redis.command('UNLINK', k, `{${k}}:lease`, `{${k}}:fence`, `{${k}}:answered`, `{${k}}:absent`)
  if (isGlobal) {
    await redis.command('UNLINK', ...GLOBAL.map((one) => `trackops:${one}`))
    const [row] = await sql<{ lsn: string }[]>`select pg_current_wal_insert_lsn()::text as lsn`
    const position = `h1|${lsnToFixedHex(parseLsn(row?.lsn ?? ''))}/0000000001`
    for (const one of ['invalidator', 'warmer']) await redis.command('SET', `trackops:position:cache-${one}`, position)
  }
  await waitFor(() => reader.isRedisTrusted(), { what: 'the reader to trust Redis', timeoutMs: 10_000, intervalMs: 5 })
}

async function write(
  { redis }: ReaderFixture,
  view: CompiledView,
  k: string,
  command: readonly string[],
): Promise<void> {
  const [name = '', at = '', ...rest] = command
  const named = rest.map((argument) => argument.replaceAll('CODE', view.code))
  try {
    await redis.command(name, at.replace('K', k), ...named)
  } catch (error) {
    // Of another type already.
    if (!(error instanceof TrackOpsError && error.code === 'REDIS_REFUSED')) throw error
  }
}

/** Against the grammar as docs/invariants.md has it, not as the code under test reads it. */
async function isForged({ redis }: ReaderFixture, view: CompiledView, k: string): Promise<boolean> {
  const form = new RegExp(`^${view.code}\\|(e\\|[0-9A-F]{16}\\|\\d+|r\\|\\d+:\\d+:[\\d,]*)$`)
  const has = (text: unknown): boolean => typeof text === 'string' && form.test(text)
  const quiet = async (...command: string[]): Promise<unknown> => {
    try {
      return await redis.command(...command)
    } catch {
      return null
    }
  }
  if (has(await quiet('GET', `{${k}}:absent`)) || has(await quiet('HGET', k, '_v'))) return true
  const value = await quiet('GET', k)
  if (typeof value !== 'string') return false
  return has(/^\{"_v":"([^"]*)"/.exec(value)?.[1]) || has(versionIn(value))
}

function versionIn(value: string): unknown {
  try {
    return (JSON.parse(value) as { _v?: unknown } | null)?._v
  } catch {
    return undefined
  }
}

async function assertAnswer({ reader }: ReaderFixture, view: CompiledView, when: string): Promise<void> {
  if (view.kind === 'list') {
    const { value } = await reader.list(view.view as ListView, { owner: 'ann' })
    assert.deepEqual(value, [{ id: '1', status: 'RIGHT' }], when)
  } else {
    const { value } = await reader.get(view.view as RowView, { id: '1' })
    assert.deepEqual(value, { id: '1', status: 'RIGHT' }, when)
  }
}

/** The row is written anew, and a consumer brings it. False if Redis refuses. */
async function change(fixture: ReaderFixture, view: CompiledView, k: string): Promise<boolean> {
  const happened = await fixture.change(`update public.items set note = 'again' where id = '1'`)
  const right: KeyAction =
    view.kind === 'list'
      ? members({ ...member('1', 1, 'RIGHT'), lsn: happened.lsn, xids: [happened.xid] })
      : { kind: 'value', document: JSON.stringify({ id: '1', status: 'RIGHT' }) }
  try {
    await fixture.process(happened, view, k, right)
    return true
  } catch (error) {
    if (error instanceof TrackOpsError && error.code === 'REDIS_REFUSED') return false
    if (error instanceof Error && error.message === 'the positions did not fit') return false
    throw error
  }
}
