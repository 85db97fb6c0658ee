import assert from 'node:assert/strict'
import { test } from 'node:test'

import { relationOf } from './fixtures/build.ts'
import { CHANGES_CASES } from './fixtures/changes-cases.ts'
import { changeOf, recordedCase } from './fixtures/recorded.ts'
import { assertReplay, itemOf } from './fixtures/replay.ts'

for (const { case: name, relation: spec, changes, properties = [] } of CHANGES_CASES) {
  test(`changes are the records that Debezium wrote: ${name}`, () => {
    const records = recordedCase(name)
    const relation = relationOf(spec)
    const items = changes.map(({ record: index, ...rows }) => {
      const record = records[index]
      assert.ok(record)
      return itemOf(changeOf(record, relation, rows))
    })
    assertReplay(records, items, ...properties)
  })
}
