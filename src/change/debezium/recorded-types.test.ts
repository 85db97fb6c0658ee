import assert from 'node:assert/strict'
import { test } from 'node:test'

import { relationOf } from './fixtures/build.ts'
import { changeOf, recordedCase } from './fixtures/recorded.ts'
import { assertReplay, itemOf } from './fixtures/replay.ts'
import { ROWS_CASES } from './fixtures/rows-cases.ts'

for (const { case: name, table = 't', columns, rows, properties = [] } of ROWS_CASES) {
  test(`rows are the bytes that Debezium wrote: ${name}`, () => {
    const records = recordedCase(name)
    const [first] = records
    const [keyColumn] = Object.keys(JSON.parse(first?.key ?? '{}') as object)
    assert.ok(keyColumn)
    const relation = relationOf({ name: ['public', table], columns: { [keyColumn]: 'int4', ...columns } })
    const items = rows.map((texts, index) => {
      const record = records[index]
      assert.ok(record)
      return itemOf(changeOf(record, relation, { after: [String(index + 1), ...texts] }))
    })
    assertReplay(records, items, ...properties)
  })
}
