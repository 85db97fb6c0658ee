import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { checkRecords, createChecker, type Rule } from './checker.ts'
import {
  type FaultRecord,
  formatRecord,
  type HistoryRecord,
  parseRecords,
  type ReadRecord,
  type WriteRecord,
} from './record.ts'
import { tellStory } from './story.ts'

type Span = readonly [invokedUs: number, completedUs: number]

const span = ([invokedUs, completedUs]: Span) => ({ invokedUs, completedUs })
const write = (when: Span, at: WriteRecord['at'], more: Partial<WriteRecord> = {}): WriteRecord => ({
  op: 'write',
  ...span(when),
  door: 'sql',
  row: 'r1',
  outcome: 'ok',
  at,
  ...more,
})
const read = (when: Span, at: ReadRecord['at'], more: Partial<ReadRecord> = {}): ReadRecord => ({
  op: 'read',
  ...span(when),
  door: 'http',
  key: 'entity:r1',
  row: 'r1',
  at,
  ...more,
})
const deleting = (us: number): HistoryRecord => ({ op: 'deleting', ...span([us, us]), row: 'r1' })
const processed = (when: Span): HistoryRecord => ({ op: 'processed', ...span(when) })
const truth = (when: Span, at: number | 'gone'): HistoryRecord => ({ op: 'truth', ...span(when), row: 'r1', at })
const fault = (
  us: number,
  phase: 'begin' | 'end',
  losesRedis = true,
  more: Partial<FaultRecord> = {},
): HistoryRecord => ({
  op: 'fault',
  ...span([us, us]),
  name: 'Redis killed',
  phase,
  losesRedis,
  cutsReaders: true,
  ...more,
})
const RESTARTS = { restartsServices: true }
const QUIET = { isQuiet: true }
const effect = (happened: number): HistoryRecord => ({
  op: 'effect',
  ...span([900, 900]),
  row: 'r1',
  effect: 'ORDER_CREATED',
  happened,
  expected: 1,
})

const raw = { door: 'raw' } as const

/** Every door, a lagging cache, a deletion, lost and found Redis: and nothing that must not be. */
const RIGHT: readonly HistoryRecord[] = [
  read([1, 2], 'absent'),
  write([10, 20], 100),
  read([12, 18], 'absent'),
  read([21, 25], 100),
  write([30, 40], 200),
  // Concurrent with the write, and with one another: either may be first.
  read([31, 36], 200),
  read([32, 38], 100),
  read([45, 50], 200, { token: 200 }),
  read([45, 51], 100, { key: 'status:r1' }),
  read([52, 53], 100, raw),
  processed([60, 70]),
  read([71, 72], 200, raw),
  fault(80, 'begin'),
  read([81, 82], 100, raw),
  fault(90, 'end'),
  read([91, 92], 100, raw),
  read([91, 93], 200),
  processed([94, 99]),
  read([100, 101], 200, raw),
  write([110, 120], null, { outcome: 'unknown', door: 'http' }),
  read([130, 131], 300),
  deleting(140),
  write([140, 150], 'gone'),
  read([145, 149], 'absent'),
  read([151, 152], 'absent', { token: 'gone' }),
  processed([160, 165]),
  truth([170, 171], 'gone'),
  read([172, 173], 'absent'),
  effect(1),
]

test('a record in which all is well has no violation, from a file as well', () => {
  assert.deepEqual(checkRecords(RIGHT), [])
  assert.deepEqual(checkRecords(parseRecords(RIGHT.map(formatRecord).join(''))), [])
  const checker = createChecker()
  for (const record of RIGHT.toSorted((a, b) => a.completedUs - b.completedUs)) checker.add(record)
  assert.deepEqual([checker.checkedReads(), checker.unjudgedReads()], [15, 2])
})

describe('planted violations, each found, and told by what proves it:', () => {
  const planted: readonly (readonly [
    what: string,
    rule: Rule,
    records: readonly HistoryRecord[],
    story: readonly number[],
  ])[] = [
    [
      'an older answer after a newer one',
      'P2',
      [write([1, 2], 100), write([3, 4], 200), read([5, 6], 200), read([7, 8], 100)],
      [1, 2, 3],
    ],
    [
      'by another door of readers',
      'P2',
      [write([1, 2], 100), write([3, 4], 200), read([5, 6], 200, { door: 'sdk' }), read([7, 8], 100)],
      [1, 2, 3],
    ],
    ['a row that was there is not', 'P2', [write([1, 2], 100), read([3, 4], 100), read([5, 6], 'absent')], [0, 1, 2]],
    [
      'a deleted row that comes back',
      'P2',
      [write([1, 2], 100), read([2, 3], 100), write([3, 4], 'gone'), read([5, 6], 'absent'), read([7, 8], 100)],
      [2, 3, 4],
    ],
    [
      'older than what was processed',
      'P3',
      [write([1, 2], 100), write([3, 4], 200), processed([5, 6]), read([7, 8], 100, raw)],
      [1, 2, 3],
    ],
    [
      'older than what was processed, by readers',
      'P3',
      [write([1, 2], 100), processed([5, 6]), read([7, 8], 'absent')],
      [0, 1, 2],
    ],
    [
      'a value of a deleted row, after its deletion was processed',
      'P3',
      [write([1, 2], 100), write([3, 4], 'gone'), processed([5, 6]), read([7, 8], 100, raw)],
      [1, 2, 3],
    ],
    [
      'stale after consumers caught up with a lost Redis',
      'P3',
      [
        write([1, 2], 100),
        write([3, 4], 200),
        fault(5, 'begin'),
        fault(6, 'end'),
        processed([7, 8]),
        read([9, 10], 100, raw),
      ],
      [1, 4, 5],
    ],
    [
      'readers, after consumers caught up with a lost Redis',
      'P2',
      [
        write([1, 2], 100),
        write([3, 9], 200),
        fault(4, 'begin'),
        fault(5, 'end'),
        processed([6, 7]),
        read([8, 9], 200),
        read([10, 11], 100),
      ],
      [1, 5, 6],
    ],
    [
      'a reader that was there when Redis lost writes',
      'P2',
      [
        write([1, 2], 100),
        write([3, 4], 200),
        read([5, 6], 200),
        fault(7, 'begin'),
        fault(8, 'end'),
        read([9, 10], 100),
      ],
      [1, 2, 5],
    ],
    [
      'a reader that was there when Redis lost writes and the services began anew',
      'P2',
      [
        write([1, 2], 100),
        write([3, 4], 200),
        read([5, 6], 200, { door: 'sdk' }),
        fault(7, 'begin', true, RESTARTS),
        read([8, 9], 100, { door: 'sdk' }),
      ],
      [1, 2, 4],
    ],
    [
      'one reader, while another is cut off from Redis',
      'P2',
      [write([1, 2], 100), write([3, 4], 200), fault(5, 'begin', false), read([6, 7], 200), read([8, 9], 100)],
      [1, 3, 4],
    ],
    [
      'a token while Redis has lost writes',
      'read-your-writes',
      [write([1, 2], 100), write([3, 4], 200), fault(5, 'begin'), read([6, 7], 100, { token: 200 })],
      [1, 3],
    ],
    [
      'at rest, newer than what the database holds: of a write that failed',
      'P1',
      [
        write([1, 2], 100),
        write([3, 4], null, { outcome: 'unknown' }),
        truth([5, 6], 100),
        read([7, 8], 200, raw),
        write([9, 10], 300),
      ],
      [2, 3],
    ],
    [
      'at rest, not what the database holds',
      'P1',
      [write([1, 2], 100), write([3, 4], 200), truth([5, 6], 200), read([7, 8], 100, raw)],
      [2, 3],
    ],
    [
      'at rest, a value of a row that is gone',
      'P1',
      [write([1, 2], 100), write([3, 4], 'gone'), truth([5, 6], 'gone'), read([7, 8], 100, raw)],
      [2, 3],
    ],
    [
      'a token that is not honoured',
      'read-your-writes',
      [write([1, 2], 100), write([3, 4], 200), read([5, 6], 100, { token: 200 })],
      [1, 2],
    ],
    [
      'a token of a deletion that is not honoured',
      'read-your-writes',
      [write([1, 2], 100), write([3, 4], 'gone'), read([5, 6], 100, { token: 'gone' })],
      [1, 2],
    ],
    ['a value that nobody wrote', 'never-written', [write([1, 2], 100), read([3, 4], 150)], [0, 1]],
    ['a value before its time', 'never-written', [read([1, 2], 100), write([3, 4], 100)], [0, 1]],
    [
      'an acknowledged write that the database lost',
      'lost-write',
      [write([1, 2], 100), write([3, 4], 200), truth([5, 6], 100)],
      [1, 2],
    ],
    ['an effect that happened twice', 'exactly-once', [effect(2)], [0]],
    ['an effect that did not happen', 'exactly-once', [effect(0)], [0]],
  ]
  for (const [what, rule, records, story] of planted) {
    test(what, () => {
      const found = checkRecords(records)
      assert.deepEqual(
        found.map((violation) => violation.rule),
        [rule],
      )
      assert.deepEqual(
        found[0]?.story,
        story.map((index) => records[index]),
      )
    })
  }
})

describe('what may be, and is no violation:', () => {
  const allowed: readonly (readonly [what: string, records: readonly HistoryRecord[]])[] = [
    [
      'two reads at once, in either order',
      [write([1, 2], 100), write([3, 4], 200), read([5, 8], 200), read([7, 9], 100)],
    ],
    [
      'readers and raw reads, one ahead of the other',
      [write([1, 2], 100), write([3, 4], 200), read([5, 6], 200), read([7, 8], 100, raw)],
    ],
    [
      'the database ahead of readers',
      [write([1, 2], 100), write([3, 4], 200), read([5, 6], 200, { door: 'sql' }), read([7, 8], 100)],
    ],
    [
      'a write that was not over when the consumers were asked',
      [write([1, 2], 100), write([3, 6], 200), processed([5, 7]), read([8, 9], 100, raw)],
    ],
    ['a write without an answer that happened later', [write([1, 2], null, { outcome: 'unknown' }), read([3, 4], 300)]],
    ['values of others', [{ op: 'shared', ...span([0, 0]), row: 'r1' }, write([1, 2], 100), read([3, 4], 150)]],
    [
      'absent while it is being deleted',
      [write([1, 2], 100), read([3, 4], 100), deleting(5), write([5, 20], 'gone'), read([6, 7], 'absent')],
    ],
    [
      'a raw value that goes back',
      [
        write([1, 2], 100),
        write([3, 4], 200),
        read([5, 6], 200, raw),
        fault(7, 'begin'),
        fault(8, 'end'),
        read([9, 10], 100, raw),
      ],
    ],
    [
      'two readers, while one of them is cut off from Redis',
      [
        write([1, 2], 100),
        write([3, 4], 200),
        fault(5, 'begin', false),
        read([6, 7], 200, { door: 'sdk' }),
        read([8, 9], 100),
        fault(10, 'end', false),
      ],
    ],
    ...([RESTARTS, QUIET].map((more) => [
      `readers, while Redis has lost writes and consumers have not caught up: ${Object.keys(more).join()}`,
      [
        write([1, 2], 100),
        write([3, 4], 200),
        fault(5, 'begin', true, more),
        read([6, 7], 200),
        fault(8, 'end', true, more),
        read([9, 10], 100),
      ],
    ]) satisfies [string, HistoryRecord[]][]),
    [
      'a list from before the row, of a service that began after Redis lost writes, while the row is being deleted',
      [
        write([1, 2], 100),
        read([3, 4], 100),
        fault(5, 'begin', true, RESTARTS),
        fault(6, 'end', true, RESTARTS),
        deleting(7),
        read([8, 9], 'absent'),
        processed([10, 11]),
        read([12, 13], 100),
        write([7, 20], 'gone'),
      ],
    ],
    [
      'a service that began after Redis lost writes, beside a reader that did not',
      [
        write([1, 2], 100),
        write([3, 4], 200),
        read([5, 6], 200, { door: 'sdk' }),
        fault(7, 'begin', true, RESTARTS),
        fault(8, 'end', true, RESTARTS),
        read([9, 10], 100),
        read([11, 12], 200, { door: 'sdk' }),
      ],
    ],
    [
      'a list that lags: the row is not in it yet, and then deleted already',
      [
        write([1, 2], 100),
        deleting(3),
        read([4, 5], 'absent'),
        write([3, 6], 'gone'),
        read([7, 8], 100),
        read([9, 10], 'absent'),
      ],
    ],
    [
      'a newer value after the truth was looked at, before its write was answered',
      [write([1, 2], 100), truth([3, 4], 100), read([6, 8], 200, raw), write([5, 9], 200)],
    ],
    [
      'another value after the truth was looked at',
      [write([1, 2], 100), truth([3, 4], 100), write([5, 6], 200), read([7, 8], 200)],
    ],
  ]
  for (const [what, records] of allowed) test(what, () => assert.deepEqual(checkRecords(records), []))
})

test('a story is a few lines that a person can follow', () => {
  const [found] = checkRecords([
    write([1_000, 2_000], 100),
    write([3_000, 4_000], 200),
    processed([5_000, 6_000]),
    read([7_000, 8_500], 100, raw),
  ])
  assert.ok(found)
  assert.equal(
    tellStory(found),
    `P3: entity:r1
         0.000        1.000 ms  write  sql   made 200
         2.000        3.000 ms  consumers had processed all that was written before
         4.000        5.500 ms  read   raw   entity:r1 was 100`,
  )
})
