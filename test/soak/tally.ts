import type { HistoryRecord } from '../history/record.ts'

/** Numbers for the lines of a soak. */
export interface SoakTally {
  note(record: HistoryRecord): void
  fault(name: string): void
  readonly unanswered: { read: number; write: number }
  readonly faults: () => number
  describe(checkedReads: number, unjudgedReads: number, violations: number): string
  describeFaults(): string
}

export function createSoakTally(): SoakTally {
  const reads = { http: 0, sdk: 0, raw: 0, sql: 0 }
  const writes = { http: 0, sdk: 0, raw: 0, sql: 0 }
  const unanswered = { read: 0, write: 0 }
  const faults = new Map<string, number>()
  let marks = 0
  const faultCount = (): number => [...faults.values()].reduce((sum, count) => sum + count, 0)
  return {
    note(record) {
      if (record.op === 'read') reads[record.door]++
      if (record.op === 'write' && record.outcome === 'ok') writes[record.door]++
      if (record.op === 'processed') marks++
    },
    fault: (name) => void faults.set(name, (faults.get(name) ?? 0) + 1),
    unanswered,
    faults: faultCount,
    describe: (checked, unjudged, violations) =>
      [
        `${checked} reads checked (http ${reads.http}, sdk ${reads.sdk}, raw ${reads.raw}, sql ${reads.sql}; ${unjudged} not judged)`,
        `${writes.sql + writes.http} writes (sql ${writes.sql}, http ${writes.http})`,
        `unanswered ${unanswered.read} reads, ${unanswered.write} writes`,
        `${marks} marks`,
        `${faultCount()} faults`,
        `${violations} violations`,
      ].join('; '),
    describeFaults: () => Array.from(faults, ([name, count]) => `${name} ${count}`).join(', '),
  }
}
