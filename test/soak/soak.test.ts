import assert from 'node:assert/strict'
import { test } from 'node:test'

import { pause } from '../../src/runtime/backoff.ts'
import { nowUs } from '../history/record.ts'
import { tellStory } from '../history/story.ts'
import { randomFrom } from '../protocol/walks.ts'
import { atOf, seededUuid } from './rows.ts'
import { waitFor } from '../support/wait-for.ts'
import type { SoakFault } from './faults.ts'
import { runSoak } from './soak.ts'
import { parseSoakOptions } from './soak-options.ts'

test('P1, P2, P3: a short soak under faults drawn at random sees no violation, and every event and piece once', async (t) => {
  const lines: string[] = []
  const result = await runSoak(t, {
    seconds: 25,
    seed: 4,
    mode: 'embedded',
    recordFile: undefined,
    logsDirectory: undefined,
    say: (line) => void lines.push(line),
    lineEverySeconds: 60,
  })
  const told = lines.join('\n')
  assert.equal(result.failure, null, told)
  assert.deepEqual(result.violations.map(tellStory), [], told)
  assert.ok(result.checkedReads > 1_000 && result.faults > 0, told)
})

/** Not a fault of the system: what no system of this kind must do, and the checker has to see. */
const STALE_WRITE: SoakFault = {
  name: 'somebody puts an old value back',
  losesRedis: false,
  async run({ soak, random }) {
    const row = await waitFor(() => soak.rows.pick(random), { what: 'a row' })
    const key = `order:status:${row.id}`
    const old = await waitFor(() => soak.redis.get(key), { what: 'its key' })
    const invokedUs = nowUs()
    const [made] = await soak.sql<{ at: number }[]>`
      update orders set status = 'NEWER' where id = ${row.id}
      returning (extract(epoch from updated_at) * 1000000)::bigint::float8 as at`
    const write = { op: 'write', door: 'sql', row: row.id, outcome: 'ok', at: made?.at ?? null } as const
    soak.record({ ...write, invokedUs, completedUs: nowUs() })
    // Again and again: consumers would mend it with the row's next change.
    for (let turn = 0; turn < 40; turn++) {
      await soak.redis.set(key, old)
      await pause(20)
    }
  },
}

test('a cache that is made stale on purpose turns the soak red, and the story says how', async (t) => {
  const lines: string[] = []
  const result = await runSoak(t, {
    seconds: 5,
    seed: 5,
    mode: 'embedded',
    recordFile: undefined,
    logsDirectory: undefined,
    say: (line) => void lines.push(line),
    lineEverySeconds: 60,
    faults: [STALE_WRITE],
  })
  const found = result.violations.filter(({ rule }) => rule === 'P2' || rule === 'P3')
  assert.ok(found.length > 0, lines.join('\n'))
  for (const violation of found)
    assert.match(tellStory(violation), /^P[23]: \w+:[0-9a-f-]{36}\n(.+\n){1,2}.+ms {2}read /)
})

test('a seed gives the same again: rows, and what is asked of them', () => {
  const [a, b] = [randomFrom(7), randomFrom(7)]
  assert.deepEqual(
    Array.from({ length: 5 }, () => seededUuid(a)),
    Array.from({ length: 5 }, () => seededUuid(b)),
  )
  assert.match(seededUuid(a), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/)
})

test('times keep their microseconds', () => {
  assert.equal(atOf('1970-01-01T00:00:01.234567Z'), 1_234_567)
  assert.ok(atOf('2026-11-26T10:00:00.000001Z') < atOf('2026-11-26T10:00:00.000002Z'))
})

test('what the command line says is understood, or refused in one line', () => {
  assert.deepEqual(parseSoakOptions(['--minutes', '0.5', '--seed', '3', '--mode', 'distributed']), {
    seconds: 30,
    seed: 3,
    mode: 'distributed',
    recordFile: undefined,
    logsDirectory: undefined,
  })
  assert.equal(parseSoakOptions(['--help']), 'help')
  for (const argv of [['--minutes', '0'], ['--seed', '-1'], ['--seed', 'x'], ['--mode', 'both'], ['--what']])
    assert.ok(parseSoakOptions(argv) instanceof Error, argv.join(' '))
})
