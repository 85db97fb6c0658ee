/** What PostgreSQL sends, cut, mixed and made up: frames, messages, whole transactions. */
import assert from 'node:assert/strict'

import type { Sql } from 'postgres'

import { createMessageFramer } from '../../../src/capture/message-framer.ts'
import type { PgoutputMessage, RelationMessage } from '../../../src/capture/pgoutput-messages.ts'
import { decodePgoutput } from '../../../src/capture/pgoutput.ts'
import { createTransactionAssembler } from '../../../src/capture/transaction-assembler.ts'
import type { StreamItem } from '../../../src/change/change-event.ts'
import { toLsn } from '../../../src/change/lsn.ts'
import type { Relation } from '../../../src/change/relation.ts'
import type { TestScope } from '../../support/defer.ts'
import { testPostgres } from '../../support/postgres.ts'
import { type FuzzTarget, refusesOnly } from '../fuzz-target.ts'
import { mutatedBytes } from '../mutate.ts'

const LSN = toLsn(0x16_b374_d848n)
/** What a reader of a stream may hold beyond what has arrived. */
const ALLOWED_BYTES = 4 * 1024 * 1024

/** Statements of one text are one transaction. */
const TRANSACTIONS = [
  `insert into items values (1, repeat('x', 3000), 'ok', 12.50, '{a,NULL}', '{"a": [1]}', now()), (2, null, null, null, null, null, null);
   update items set total = 13 where id = 1; update items set id = 3 where id = 2`,
  `insert into whole values (1, 'a'), (2, null); update whole set note = 'ü 😀'; delete from whole where id = 1`,
  `delete from items where id = 3; truncate items, whole`,
  `select pg_logical_emit_message(true, 'prefix', 'content')`,
  `select pg_logical_emit_message(false, 'prefix', 'content')`,
  `alter table whole add column more int`,
  `insert into whole values (3, 'b', 7)`,
]

/** Every kind of message that a server sends, as it sends it. */
export async function recordMessages(sql: Sql): Promise<Buffer[]> {
  const [database] = await sql<{ name: string }[]>`select current_database() as name`
  const slot = `fuzz_${database?.name}`
  await sql.unsafe(`
    create type mood as enum ('sad', 'ok');
    create table items (id int primary key, name text, mood mood, total numeric(12,2), tags text[], doc jsonb, at timestamptz);
    create table whole (id int, note text);
    alter table whole replica identity full;
    alter table items alter column name set storage external;
    create publication fuzz for all tables`)
  await sql`select pg_create_logical_replication_slot(${slot}, 'pgoutput')`
  for (const transaction of TRANSACTIONS) await sql.unsafe(transaction)
  const rows = await sql<{ data: Buffer }[]>`
    select data from pg_logical_slot_get_binary_changes(${slot}, null, null,
      'proto_version', '1', 'publication_names', 'fuzz', 'messages', 'true')`
  await sql`select pg_drop_replication_slot(${slot})`
  return rows.map(({ data }) => Buffer.from(data))
}

async function recorded(scope: TestScope): Promise<Buffer[]> {
  return await recordMessages((await testPostgres(scope)).sql)
}

/** A message as XLogData in CopyData. */
export function framed(data: Buffer, lsn = LSN): Buffer {
  const header = Buffer.alloc(30)
  header.write('d', 0)
  header.writeInt32BE(4 + 25 + data.length, 1)
  header.write('w', 5)
  header.writeBigUInt64BE(lsn, 6)
  header.writeBigUInt64BE(lsn, 14)
  return Buffer.concat([header, data])
}

/** Frames and decoder: whatever is pushed, only named errors, and no more memory than what has arrived. */
export const framer: FuzzTarget = {
  name: 'message-framer',
  async open(scope) {
    const stream = (await recorded(scope)).map((data) => framed(data))
    const seeds = [Buffer.concat(stream), ...stream]
    return {
      inputs: mutatedBytes(seeds),
      check(input) {
        for (const step of [input.length, 1, 7]) {
          let held = 0
          const before = process.memoryUsage().arrayBuffers
          const codec = createMessageFramer((_type, bytes, start, end) => {
            assert.ok(start <= end && end <= bytes.length, 'a message lies within its bytes')
            held += end - start
          })
          refusesOnly(['POSTGRES_PROTOCOL'], () => {
            for (let at = 0; at < input.length; at += step) codec.push(input.subarray(at, at + step))
          })
          assert.ok(held <= input.length, 'no more comes out than went in')
          const grown = process.memoryUsage().arrayBuffers - before
          assert.ok(grown < ALLOWED_BYTES, `${grown} bytes are held for ${input.length} that arrived`)
        }
      },
    }
  },
}

export const decoder: FuzzTarget = {
  name: 'pgoutput',
  async open(scope) {
    return {
      inputs: mutatedBytes(await recorded(scope)),
      check(input) {
        refusesOnly(['DECODE'], () => decodePgoutput(input, LSN))
      },
    }
  },
}

const MAX_CHANGES = 5

/**
 * A stream of messages, each preceded by its length (so that a mutation of one leaves the next readable): the assembler gives out
 * nothing between begin and commit but pieces, counts changes without a hole, and holds no more than it was told.
 */
export const assembler: FuzzTarget = {
  name: 'transaction-assembler',
  async open(scope) {
    const messages = await recorded(scope)
    const seeds = [pack(messages), pack([...messages, ...messages]), ...transactionsOf(messages).map(pack)]
    return { inputs: mutatedBytes(seeds), check: assemble }
  },
}

function assemble(input: Buffer): void {
  const relations = new Map<number, Relation>()
  const machine = createTransactionAssembler({ maxChanges: MAX_CHANGES, maxBytes: 10_000 })
  let ordinal = 0
  for (const data of unpack(input)) {
    const message = refusesOnly(['DECODE'], () => decodePgoutput(data, LSN))
    if (!message) return
    if (message.type === 'relation') {
      const relation = relationOf(message)
      relations.set(relation.oid, relation)
      machine.describe(relation)
    }
    const item = refusesOnly(['DECODE', 'POSTGRES_PROTOCOL'], () => ({ of: machine.push(message, LSN) }))
    if (!item) return
    if (message.type === 'begin') ordinal = 0
    if (item.of) ordinal = judge(item.of, message, ordinal)
  }
}

function judge(item: StreamItem, message: PgoutputMessage, ordinal: number): number {
  if (item.kind !== 'transaction') return ordinal
  const isAside = message.type === 'message' && !message.isTransactional
  if (isAside) return ordinal
  if (item.endLsn !== null) assert.equal(message.type, 'commit', 'an end is a commit')
  // One message may truncate many tables, and is not divided.
  assert.ok(item.changes.filter(({ op }) => op !== 't').length <= MAX_CHANGES)
  let last = ordinal
  for (const change of item.changes) {
    assert.equal(change.position.ordinal, last + 1, 'changes are counted without a hole')
    last = change.position.ordinal
    if ('after' in change) assert.equal(change.after.texts.length, change.relation.columns.length)
  }
  return last
}

function relationOf({ oid, schema, table, replicaIdentity, columns }: RelationMessage): Relation {
  const described = columns.map(({ name, typeOid, typeModifier, isIdentity }) => {
    const kind = 'base' as const
    const type = { oid: typeOid, rootOid: typeOid, name: 'text', modifier: typeModifier, kind, element: null }
    return { name, type, isIdentity, isNullable: true, defaultExpression: null }
  })
  const columnIndex = new Map(columns.map(({ name }, index) => [name, index]))
  return { oid, schema, table, replicaIdentity, columns: described, keyColumns: [], columnIndex }
}

function pack(messages: readonly Buffer[]): Buffer {
  return Buffer.concat(
    messages.flatMap((data) => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(data.length)
      return [length, data]
    }),
  )
}

function* unpack(input: Buffer): Generator<Buffer> {
  for (let at = 0; at + 2 <= input.length;) {
    const end = at + 2 + input.readUInt16BE(at)
    yield input.subarray(at + 2, end)
    at = end
  }
}

function transactionsOf(messages: readonly Buffer[]): Buffer[][] {
  const all: Buffer[][] = []
  for (const data of messages) {
    if (data[0] === 0x42 || all.length === 0) all.push([])
    all.at(-1)?.push(data)
  }
  return all
}
