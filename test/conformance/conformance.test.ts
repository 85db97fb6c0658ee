/** The embedded capture equals Debezium: the same SQL, seen by the real connector 3.6.1 and by the code behind `trackops tail`. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'

import { parseDatabaseUrl } from '../../src/runtime/connection-target.ts'
import { whyNoStack } from '../support/stack.ts'
import { type Outcome, runBoth } from './both-captures.ts'
import { CASES } from './cases/all.ts'
import { compareGroup, describeDifference } from './compare-records.ts'
import { TOASTED } from './cases/toast.ts'
import { COMPARED_TABLES, MISREAD, MISREAD_FULL, MISREAD_IN_SNAPSHOT, UNREAD, UNREAD_FULL } from './decoding.ts'
import { decodedRows, misreadColumns, relationOf, selectedRows, unreadColumns } from './decoded.ts'
import { EXPECTED_DIFFERENCES } from './expected-differences.ts'
import { connectorOf, GROUPS } from './groups.ts'

const skip = await whyNoStack()
const SHOWN = 8

const cleanups: (() => unknown)[] = []
after(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup()
})

/** Of names, so that a failure is one line. */
function listOf(names: Iterable<string>): string {
  return [...names].toSorted((a, b) => (a < b ? -1 : 1)).join(' ')
}

let running: Promise<Outcome> | undefined
/** One run for all tests of this file. */
const outcome = (): Promise<Outcome> => {
  running ??= runBoth({ after: (cleanup) => void cleanups.push(cleanup) }, GROUPS, CASES)
  return running
}

for (const { name } of GROUPS) {
  test(`with the properties "${name}" every record is Debezium's, byte for byte`, { skip }, async () => {
    const { groups } = await outcome()
    const own = groups.find(({ group }) => group.name === name) ?? assert.fail()
    const { compared, unexpected } = compareGroup(own, EXPECTED_DIFFERENCES)
    // One of each kind: what is wrong with a type is wrong in every row.
    const kinds = new Map(unexpected.toReversed().map((found) => [`${found.topic} ${found.path}`, found]))
    const shown = [...kinds.values()].toReversed().slice(0, SHOWN).map(describeDifference)
    assert.ok(unexpected.length === 0, `${unexpected.length} differences, of which:\n${shown.join('\n')}`)
    assert.ok(compared > 400, `only ${compared} records`)
  })
}

test('what differs on purpose differs, where it is said to and nowhere else', { skip }, async () => {
  const { groups } = await outcome()
  const missing = groups.flatMap((own) => {
    const { occurred } = compareGroup(own, EXPECTED_DIFFERENCES)
    const expected = EXPECTED_DIFFERENCES.filter(({ groups: where }) => where.includes(own.group.name))
    return [...new Set(expected.map(({ id }) => id))]
      .filter((id) => !occurred.has(id))
      .map((id) => `${own.group.name} ${id}`)
  })
  assert.deepEqual(missing, [], 'these no longer occur: Debezium or we have changed')
})

for (const { name } of GROUPS) {
  test(`L3: of "${name}" the consumers read what a SELECT gives, or nothing`, { skip }, async () => {
    const { sql, groups } = await outcome()
    const own = groups.find(({ group }) => group.name === name) ?? assert.fail()
    const unread = new Set<string>()
    const misread = { stream: new Set<string>(), snapshot: new Set<string>() }
    let rows = 0
    for (const table of COMPARED_TABLES) {
      const relation = await relationOf(sql, 'types', table)
      const selected = await selectedRows(sql, relation)
      for (const { op, image } of decodedRows(own, relation)) {
        const now = selected.get(image.texts[0])
        if (!now) continue
        rows += 1
        for (const column of unreadColumns(image)) unread.add(column)
        for (const column of misreadColumns(image, now)) misread[op === 'r' ? 'snapshot' : 'stream'].add(column)
      }
    }
    assert.ok(rows > 150, `only ${rows} rows`)
    assert.equal(listOf(unread), listOf(UNREAD[name]), 'not read')
    assert.equal(listOf(misread.stream), listOf(MISREAD[name]), 'read as another value')
    assert.equal(listOf(misread.snapshot), listOf([...MISREAD[name], MISREAD_IN_SNAPSHOT]), 'likewise in the snapshot')
  })

  test(
    `L3: of "${name}" an unchanged TOAST value is no value, and one under FULL is the database's`,
    { skip },
    async () => {
      const { sql, groups } = await outcome()
      const own = groups.find(({ group }) => group.name === name) ?? assert.fail()
      const images = async (table: string) => {
        const relation = await relationOf(sql, 'toast', table)
        return { relation, updates: decodedRows(own, relation).filter(({ op }) => op !== 'r') }
      }
      const { updates } = await images('by_default')
      const [first, , keyChange] = updates.map(({ image }) => image)
      assert.ok(first && keyChange)
      const toasted = TOASTED.map(([column]) => column)
      assert.equal(listOf(unreadColumns(first)), listOf(toasted))
      // Since then set to short values.
      const known = new Set(['te', 'ai4', 'nu'])
      assert.equal(listOf(unreadColumns(keyChange)), listOf(toasted.filter((column) => !known.has(column))))

      const full = await images('full')
      const selected = await selectedRows(sql, full.relation)
      const last = full.updates.at(-1)?.image ?? assert.fail()
      assert.equal(listOf(misreadColumns(last, selected.get('2') ?? assert.fail())), listOf(MISREAD_FULL[name]))
      assert.equal(listOf(unreadColumns(last).filter((column) => !UNREAD_FULL.has(column))), '')
    },
  )
}

test('L5: as the connector is registered, NULL beside a default stays NULL', { skip }, async () => {
  const { sql, groups } = await outcome()
  for (const name of ['registered', 'nanoseconds'] as const) {
    const own = groups.find(({ group }) => group.name === name) ?? assert.fail()
    const rows = decodedRows(own, await relationOf(sql, 'defaults', 'nullable'))
    const nulls = rows.filter(({ image }) => ['2', '4', '12', '14'].includes(image.texts[0] ?? ''))
    assert.equal(nulls.length, 4)
    // What is left out, or null whatever it is (a name in the stream), is unknown rather than NULL.
    const values = nulls.flatMap(({ image }) => image.texts.slice(1)).filter((text) => text !== undefined)
    assert.ok(values.length > 200)
    assert.deepEqual(new Set(values), new Set([null]))
  }
})

test('heartbeats have the same form', { skip }, async () => {
  const { groups } = await outcome()
  const { theirs, ours } = groups.find(({ group }) => group.name === 'iso') ?? assert.fail()
  const heartbeat = (topic: string): boolean => topic.startsWith('__debezium-heartbeat')
  const [theirTopic] = [...theirs.keys()].filter(heartbeat)
  const [ourTopic] = [...ours.keys()].filter(heartbeat)
  assert.equal(ourTopic, theirTopic)
  const form = (key: string | null | undefined, value: string | null | undefined) => [key, value?.replace(/\d+/, 'n')]
  const [their] = theirs.get(theirTopic ?? '') ?? []
  const [our] = ours.get(ourTopic ?? '') ?? []
  assert.deepEqual(form(our?.key, our?.value), form(their?.key?.toString(), their?.value?.toString()))
  assert.equal(their?.headers.size, 0)
})

test('the documentation lists what differs on purpose', () => {
  const text = readFileSync(new URL('../../docs/decisions/debezium-differences.md', import.meta.url), 'utf8')
  const listed = [...text.matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, id = '']) => id)
  assert.deepEqual(listed.toSorted(), [...new Set(EXPECTED_DIFFERENCES.map(({ id }) => id))].toSorted())
})

const MODES = {
  'decimal.handling.mode': ['precise', 'string', 'double'],
  'time.precision.mode': [
    'adaptive',
    'adaptive_time_microseconds',
    'microseconds',
    'nanoseconds',
    'connect',
    'isostring',
  ],
  'interval.handling.mode': ['numeric', 'string'],
  'binary.handling.mode': ['bytes', 'base64', 'base64-url-safe', 'hex'],
  'hstore.handling.mode': ['json', 'map'],
  'include.unknown.datatypes': ['false', 'true'],
  'value.converter.replace.null.with.default': ['true', 'false'],
  'value.converter.schemas.enable': ['false', 'true'],
  'publish.via.partition.root': ['false', 'true'],
}

test('every mode is that of one of the groups', () => {
  const database = parseDatabaseUrl('postgres://somebody@localhost/none')
  const connectors = GROUPS.map((group) => connectorOf(group, 'prefix', database, CASES))
  for (const [property, modes] of Object.entries(MODES)) {
    const used = new Set(connectors.map((connector) => connector[property] ?? modes[0]))
    assert.deepEqual(used, new Set(modes), property)
  }
})
