/** Over histories of a cache that is right, and of the same with one answer made wrong. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { randomFrom } from '../protocol/walks.ts'
import { checkRecords, createChecker, type Violation } from './checker.ts'
import type { HistoryRecord, ReadRecord } from './record.ts'

const ROWS = ['r1', 'r2', 'r3']

/** Each operation takes effect at one moment between its invocation and its completion; raw reads may lag, down to what is processed. */
function rightHistory(seed: number, length: number): HistoryRecord[] {
  const random = randomFrom(seed)
  const below = (bound: number): number => Math.floor(random() * bound)
  const state = new Map<string, number>()
  const cached = new Map<string, number>()
  const records: HistoryRecord[] = []
  let at = 0
  for (let n = 0; n < length; n++) {
    const effectUs = (n + 1) * 100
    const times = { invokedUs: effectUs - 1 - below(300), completedUs: effectUs + 1 + below(300) }
    const row = ROWS[below(ROWS.length)] ?? 'r1'
    const choice = random()
    if (choice < 0.3) {
      state.set(row, ++at)
      records.push({ op: 'write', ...times, door: 'sql', row, outcome: 'ok', at })
    } else if (choice < 0.35) {
      // Everything until now, and only what had completed before it was asked.
      for (const [name, value] of state) cached.set(name, value)
      records.push({ op: 'processed', ...times })
    } else if (choice < 0.6) {
      const value = cached.get(row)
      const newest = state.get(row)
      const seen = value !== undefined && newest !== undefined && random() < 0.3 ? newest : value
      if (seen === undefined) continue
      cached.set(row, seen)
      records.push({ op: 'read', ...times, door: 'raw', key: `entity:${row}`, row, at: seen })
    } else {
      records.push({ op: 'read', ...times, door: 'http', key: `entity:${row}`, row, at: state.get(row) ?? 'absent' })
    }
  }
  return records
}

const told = (found: readonly Violation[]): string[] => found.map((one) => JSON.stringify(one)).toSorted()
const history = fc
  .record({ seed: fc.nat(), length: fc.integer({ min: 5, max: 120 }) })
  .map(({ seed, length }) => rightHistory(seed, length))

/** One answer becomes an older one: it may be a violation or not, but whichever it is, it has to be that in every order. */
const spoiled = fc.tuple(history, fc.nat(), fc.nat()).map(([records, which, much]) => {
  const reads = records.filter((record): record is ReadRecord => record.op === 'read' && typeof record.at === 'number')
  const victim = reads[which % Math.max(1, reads.length)]
  return records.map((record) =>
    record === victim && typeof victim.at === 'number' ? { ...victim, at: (victim.at * (much % 100)) / 100 } : record,
  )
})

test('a history that some order of single moments explains has no violation', () => {
  fc.assert(
    fc.property(history, (records) => {
      assert.deepEqual(checkRecords(records), [])
    }),
    { numRuns: 500 },
  )
})

test('the order in which a file has its records changes no verdict', () => {
  fc.assert(
    fc.property(spoiled, fc.nat(), (records, seed) => {
      const random = randomFrom(seed)
      const shuffled = records
        .map((record) => ({ record, order: random() }))
        .toSorted((a, b) => a.order - b.order)
        .map(({ record }) => record)
      assert.deepEqual(told(checkRecords(shuffled)), told(checkRecords(records)))
    }),
    { numRuns: 300 },
  )
})

test('records of different rows may come in any order between two that are about all rows', () => {
  let violations = 0
  fc.assert(
    fc.property(spoiled, fc.nat(), (records, seed) => {
      const random = randomFrom(seed)
      const ordered = records.toSorted((a, b) => a.completedUs - b.completedUs)
      const blocks: HistoryRecord[][] = [[]]
      for (const record of ordered) {
        if (record.op === 'processed') blocks.push([record], [])
        else blocks.at(-1)?.push(record)
      }
      const mixed = blocks.flatMap((block) => {
        const queues = ROWS.map((row) => block.filter((record) => 'row' in record && record.row === row))
        const rest = block.filter((record) => !('row' in record))
        const out: HistoryRecord[] = [...rest]
        for (
          let left = queues.filter((queue) => queue.length > 0);
          left.length > 0;
          left = left.filter((queue) => queue.length > 0)
        ) {
          const next = left[Math.floor(random() * left.length)]?.shift()
          if (next) out.push(next)
        }
        return out
      })
      const checker = createChecker()
      const found = [...mixed.flatMap((record) => checker.add(record)), ...checker.finish()]
      violations += found.length
      assert.deepEqual(told(found), told(checkRecords(records)))
    }),
    { numRuns: 300, seed: 1 },
  )
  assert.ok(violations > 50, `only ${violations} violations were among them`)
})
