/** Records of the change topics: the real connector's, with members and bytes changed. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

import fc from 'fast-check'

import type { ChangeEvent } from '../../../src/change/change-event.ts'
import { createChangeDecoder } from '../../../src/change/debezium/decode/change-of-envelope.ts'
import { parseEnvelope } from '../../../src/change/debezium/decode/envelope.ts'
import { optionsOf, relationOf } from '../../../src/change/debezium/fixtures/build.ts'
import { type FuzzTarget, refusesOnly } from '../fuzz-target.ts'
import { asBytes, mutatedBytes, mutatedJson } from '../mutate.ts'

const RECORDED = new URL('../../../src/change/debezium/fixtures/debezium-3.6.1.jsonl', import.meta.url)
const TYPES = ['int4', 'text', 'numeric(12,2)', 'timestamptz', 'jsonb', 'text[]', 'bytea', 'hstore', 'uuid', 'interval']
const MODES = [[], ['decimal.handling.mode=string', 'time.precision.mode=isostring'], ['hstore.handling.mode=map']]

interface Parts {
  readonly key: unknown
  readonly value: unknown
  readonly headers: unknown
}

/** The input is {key, value, headers} as JSON, or the bytes of a value. */
export const envelope: FuzzTarget = {
  name: 'debezium-envelope',
  open() {
    const records = readFileSync(RECORDED, 'utf8')
      .trimEnd()
      .split('\n')
      .filter((_, index) => index % 7 === 0)
      .map((line) => {
        const { key, value } = JSON.parse(line) as { key: string | null; value: string | null }
        const parsed = (text: string | null): unknown => (text === null ? null : JSON.parse(text))
        return { key: parsed(key), value: parsed(value), headers: { '__debezium.newkey': '{}' } } satisfies Parts
      })
    const values = records.map(({ value }) => Buffer.from(JSON.stringify(value)))
    return {
      inputs: fc.oneof(
        { weight: 3, arbitrary: asBytes(mutatedJson(records)) },
        { weight: 1, arbitrary: mutatedBytes(values) },
      ),
      check,
    }
  },
}

function check(input: Buffer): void {
  const { key, value, headers } = partsOf(input)
  const read = refusesOnly(['DECODE'], () => parseEnvelope({ key, value, headers }))
  if (read?.kind !== 'row') return
  for (const modes of MODES) {
    const fields = read.fields.length > 0 ? read.fields : ['id']
    const columns = Object.fromEntries(fields.map((name, index) => [name, TYPES[index % TYPES.length] ?? 'text']))
    // A member called __proto__ is no column of any table that this test could describe.
    if (Object.keys(columns).length !== new Set(fields).size) return
    const relation = relationOf({ columns, identity: 'full' })
    const change: ChangeEvent | undefined = refusesOnly(['DECODE'], () =>
      createChangeDecoder(optionsOf(...modes)).changeOf(read, relation, { commitLsn: read.lsn, ordinal: 1 }),
    )
    if (!change || !('after' in change)) continue
    assert.equal(change.after.texts.length, relation.columns.length)
    // What is not there is no text, and a complete row has all of them.
    for (const text of change.after.texts) assert.ok(text === null || text === undefined || typeof text === 'string')
    assert.equal(
      change.after.kind === 'complete',
      change.after.texts.every((text) => text !== undefined),
    )
  }
}

function partsOf(input: Buffer): { key: Buffer | null; value: Buffer | null; headers: ReadonlyMap<string, string> } {
  const bytes = (json: unknown): Buffer | null =>
    json === null || json === undefined ? null : Buffer.from(JSON.stringify(json))
  try {
    const parsed = JSON.parse(input.toString('utf8')) as Partial<Parts> | null
    if (typeof parsed === 'object' && parsed !== null && 'value' in parsed) {
      const headers = typeof parsed.headers === 'object' && parsed.headers !== null ? parsed.headers : {}
      const texts = Object.entries(headers).map(([name, text]): [string, string] => [name, JSON.stringify(text)])
      return { key: bytes(parsed.key), value: bytes(parsed.value), headers: new Map(texts) }
    }
  } catch {
    // The bytes themselves, then.
  }
  return { key: null, value: input, headers: new Map() }
}
