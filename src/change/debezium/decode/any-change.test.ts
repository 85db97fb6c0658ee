import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { ChangeEvent, Transaction } from '../../change-event.ts'
import { toLsn } from '../../lsn.ts'
import type { Relation } from '../../relation.ts'
import type { ColumnText, RowImage } from '../../row-image.ts'
import { createDebeziumEncoder } from '../encode.ts'
import { complete, optionsOf, partial, relationOf } from '../fixtures/build.ts'
import { rowOf } from '../fixtures/raw.ts'
import { DECIMAL_MODES, WITH_MICROS } from '../fixtures/round-trip.ts'
import { itemOf } from '../fixtures/replay.ts'
import { createChangeDecoder } from './change-of-envelope.ts'

const COLUMNS = {
  id: 'int8',
  note: 'text',
  total: 'numeric(12,2)',
  paid: 'bool',
  at: 'timestamptz',
  doc: 'jsonb',
  tags: 'text[]',
}

const text = fc.string({ unit: 'binary' })
const row = fc
  .tuple(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
    fc.option(text),
    fc.option(
      fc
        .integer({ min: 100, max: 9_999_999 })
        .map((cents) => `${String(cents).slice(0, -2)}.${String(cents).slice(-2)}`),
    ),
    fc.option(fc.constantFrom('t', 'f')),
    fc.option(
      fc.integer({ min: 100_000, max: 999_999 }).map((n) => `2026-11-22 18:48:24.${String(n).replace(/0+$/, '')}+00`),
    ),
    fc.option(fc.jsonValue().map((value) => JSON.stringify(value))),
    fc.option(fc.constantFrom('{}', '{a,NULL,"b c"}', '{"NULL","\\""}')),
  )
  .map((texts): readonly ColumnText[] => texts)

const transaction: Transaction = {
  xid: 4_294_967_295,
  commitLsn: toLsn(2n ** 60n + 2n),
  commitTimeMicros: 1_795_330_988_407_234n,
  previousCommitEndLsn: toLsn(2n ** 60n),
  origin: { name: 'o', lsn: toLsn(2n ** 60n + 1n) },
}

function changeOf(relation: Relation, op: string, old: readonly ColumnText[], now: readonly ColumnText[]): ChangeEvent {
  const lsn = toLsn(2n ** 60n + 1n)
  const head = { position: { commitLsn: transaction.commitLsn, ordinal: 3 }, lsn, transaction, relation }
  const isFull = relation.replicaIdentity === 'full'
  const before: RowImage = isFull ? complete(relation, ...old) : partial(relation, old[0])
  switch (op) {
    case 'c':
      return { op, ...head, after: complete(relation, ...now) }
    case 'd':
      return { op, ...head, before }
    case 'u':
      // Of one key: another one would be three records.
      return { op, ...head, before: isFull ? before : null, after: complete(relation, ...now.with(0, old[0] ?? null)) }
    default:
      return { op: 't', ...head }
  }
}

test('a change of a table without lossy types comes back as it was, whatever its values', () => {
  const relations = [relationOf({ columns: COLUMNS }), relationOf({ columns: COLUMNS, identity: 'full' })]
  const settings = fc.tuple(fc.constantFrom(...DECIMAL_MODES), fc.constantFrom(...WITH_MICROS))
  const op = fc.constantFrom('c', 'u', 'd', 't')
  fc.assert(
    fc.property(fc.constantFrom(...relations), op, row, row, settings, (relation, letter, old, now, pairs) => {
      const options = optionsOf('skipped.operations=none', 'tombstones.on.delete=false', ...pairs)
      const change = changeOf(relation, letter, old, now)
      const encoder = createDebeziumEncoder({ database: 'd', now: () => 1n, runId: 'run' }, options)
      const [record, ...others] = encoder.encode(itemOf(change))
      assert.ok(record && others.length === 0)
      const read = createChangeDecoder(options).changeOf(rowOf(record), relation, change.position)
      assert.deepEqual(read, change)
    }),
    { numRuns: 1000 },
  )
})
