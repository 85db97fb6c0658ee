import assert from 'node:assert/strict'
import { test } from 'node:test'

import { optionsOf, relationOf } from '../fixtures/build.ts'
import { rowOf } from '../fixtures/raw.ts'
import { recordedCase, type Recorded, type Texts } from '../fixtures/recorded.ts'
import { ROWS_CASES } from '../fixtures/rows-cases.ts'
import { createChangeDecoder } from './change-of-envelope.ts'

/** What Debezium's JSON does not say (types/unreadable.test.ts has the reasons): by case, the columns. */
const UNSAID: Readonly<Record<string, readonly string[]>> = {
  'type-temporal-connect': ['ts', 'ts_us', 'ti', 'ti6'],
  'type-timestamptz-timetz-adaptive': ['ttz', 'tptz'],
}

/** An array of NULLs alone may have had two dimensions. */
const ALL_NULL = /^\{NULL(?:,NULL)*\}$/

function said(name: string, columns: readonly string[], texts: Texts): Texts {
  const unsaid = UNSAID[name] ?? []
  return texts.map((text, index) => {
    return unsaid.includes(columns[index] ?? '') || (typeof text === 'string' && ALL_NULL.test(text)) ? undefined : text
  })
}

/** `default-null-replaced` is left out: with replace.null.with.default its NULLs are lost, and preflight warns of it. */
for (const { case: name, table = 't', columns, rows, properties = [] } of ROWS_CASES) {
  if (name === 'default-null-replaced') continue
  test(`rows that Debezium wrote read as PostgreSQL had them: ${name}`, () => {
    const records = recordedCase(name)
    const [keyColumn] = Object.keys(JSON.parse(records[0]?.key ?? '{}') as object)
    assert.ok(keyColumn)
    const relation = relationOf({ name: ['public', table], columns: { [keyColumn]: 'int4', ...columns } })
    const decoder = createChangeDecoder(optionsOf(...properties))
    const names = relation.columns.map((column) => column.name)
    for (const [index, texts] of rows.entries()) {
      const record = records[index] ?? assert.fail()
      const event = decoder.changeOf(rowOf(record), relation, positionOf(record))
      const expected = said(name, names, [String(index + 1), ...texts])
      assert.ok(event.op === 'c' || event.op === 'r')
      assert.deepEqual(event.after.texts, expected)
      assert.equal(event.after.kind, expected.includes(undefined) ? 'partial' : 'complete')
    }
  })
}

function positionOf(record: Recorded): { commitLsn: ReturnType<typeof rowOf>['lsn']; ordinal: number } {
  return { commitLsn: rowOf(record).lsn, ordinal: 1 }
}

test('texts and ranges that Debezium wrote are texts of PostgreSQL as they are', () => {
  const columnsOf: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'type-text-table': { pk: 'int4', j: 'json', jb: 'jsonb', x: 'xml', u: 'uuid' },
    'type-range': { pk: 'int4', tr: 'tsrange', tzr: 'tstzrange', tzr2: 'tstzrange', dr: 'daterange', nr: 'numrange' },
  }
  for (const [name, columns] of Object.entries(columnsOf)) {
    const relation = relationOf({ columns })
    for (const record of recordedCase(name)) {
      const envelope = rowOf(record)
      const event = createChangeDecoder(optionsOf()).changeOf(envelope, relation, positionOf(record))
      assert.ok(event.op === 'c' || event.op === 'r')
      const written = relation.columns.slice(1).map((column) => envelope.after?.[column.name])
      assert.deepEqual(event.after.texts.slice(1), written)
    }
  }
})
