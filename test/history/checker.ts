/**
 * Finds what must not be in a record. Pure, and one record at a time, so that it runs beside the load as well as over a file; the
 * order of records that complete at the same time, or of different rows, makes no difference.
 *
 * - P2: an answer older than one that had been given for the key before it was asked. Readers are one (http, sdk); raw reads another.
 * - P3: an answer older than a write that a consumer of the cache had processed before it was asked.
 * - P1: at rest, an answer that is not what the database holds.
 * - read-your-writes: an answer older than the write whose token it presented.
 * - never-written: a value that no write made, or that was answered before its write was asked for.
 * - lost-write: an acknowledged write that the database does not have.
 * - exactly-once: an effect that happened more or less often than it had to.
 */
import { createFloor, type Floor } from './floor.ts'
import type {
  EffectRecord,
  FaultRecord,
  HistoryRecord,
  ProcessedRecord,
  ReadRecord,
  TruthRecord,
  WriteRecord,
} from './record.ts'

export type Rule = 'P1' | 'P2' | 'P3' | 'read-your-writes' | 'never-written' | 'lost-write' | 'exactly-once'

export interface Violation {
  readonly rule: Rule
  /** A key, or a row. */
  readonly subject: string
  /** The few records that prove it, in order. */
  readonly story: readonly HistoryRecord[]
}

export interface Checker {
  /** In the order of completion. */
  add(record: HistoryRecord): readonly Violation[]
  /** What can only be said when nothing follows. */
  finish(): readonly Violation[]
  readonly checkedReads: () => number
  /** Raw reads while Redis had lost writes: about them nothing is promised. */
  readonly unjudgedReads: () => number
}

interface Row {
  isShared: boolean
  hasUnknown: boolean
  readonly written: Floor<WriteRecord>
  /** By what it made; the oldest are forgotten. */
  readonly byAt: Map<number, WriteRecord>
  newest: WriteRecord | undefined
  deletion: WriteRecord | undefined
  deletingSinceUs: number
  truth: TruthRecord | undefined
  /** Answers whose write has not completed yet. */
  readonly unexplained: Map<number, ReadRecord>
  readonly answered: Map<string, Floor<ReadRecord>>
}

const MAX_VALUES = 512

/** A whole record, in any order. */
export function checkRecords(records: readonly HistoryRecord[]): readonly Violation[] {
  const checker = createChecker()
  const ordered = records.toSorted((a, b) => a.completedUs - b.completedUs)
  return [...ordered.flatMap((record) => checker.add(record)), ...checker.finish()]
}

export function createChecker(): Checker {
  const rows = new Map<string, Row>()
  const processed = createFloor<ProcessedRecord>()
  /** Of raw reads, since Redis lost writes the last time. */
  let epoch = 0
  let epochBeganUs = -Infinity
  let lossesUnderWay = 0
  let checkedReads = 0
  let unjudgedReads = 0

  function rowOf(name: string): Row {
    let row = rows.get(name)
    if (!row) {
      row = {
        isShared: false,
        hasUnknown: false,
        written: createFloor(),
        byAt: new Map(),
        newest: undefined,
        deletion: undefined,
        deletingSinceUs: Infinity,
        truth: undefined,
        unexplained: new Map(),
        answered: new Map(),
      }
      rows.set(name, row)
    }
    return row
  }

  function addWrite(write: WriteRecord): Violation[] {
    const row = rowOf(write.row)
    row.truth = undefined
    if (write.outcome === 'unknown') row.hasUnknown = true
    if (write.at === 'gone') {
      row.deletion ??= write
      row.deletingSinceUs = Math.min(row.deletingSinceUs, write.invokedUs)
    }
    if (write.at === null) return []
    const value = write.at === 'gone' ? Infinity : write.at
    if (write.outcome === 'ok') {
      row.written.raise(value, write.completedUs, write)
      if (!row.newest || valueOfWrite(row.newest) < value) row.newest = write
    }
    const early = row.unexplained.get(value)
    row.unexplained.delete(value)
    forgetOldest(row.byAt.set(value, write))
    return early && early.completedUs < write.invokedUs
      ? [{ rule: 'never-written', subject: early.key, story: [early, write] }]
      : []
  }

  function addRead(read: ReadRecord): Violation[] {
    const row = rowOf(read.row)
    const isRaw = read.door === 'raw'
    // Raw reads are asked after the loss was over, or nothing is promised.
    if (isRaw && (lossesUnderWay > 0 || read.invokedUs <= epochBeganUs)) {
      unjudgedReads++
      return []
    }
    checkedReads++
    const value = valueOfRead(read, row)
    const found: Violation[] = []
    const violated = (rule: Rule, story: readonly HistoryRecord[]): void =>
      void found.push({ rule, subject: read.key, story })

    if (read.token !== undefined && value < (read.token === 'gone' ? Infinity : read.token)) {
      const write = read.token === 'gone' ? row.deletion : row.byAt.get(read.token)
      violated('read-your-writes', write ? [write, read] : [read])
    }

    const channel = `${read.key} ${isRaw ? `raw ${epoch}` : read.door === 'sql' ? 'sql' : 'readers'}`
    let answered = row.answered.get(channel)
    if (!answered) row.answered.set(channel, (answered = createFloor()))
    const before = answered.before(read.invokedUs)
    if (before && value < before.value) {
      const write = row.byAt.get(before.value)
      violated('P2', [...(write ? [write] : []), before.cause, read])
    }
    answered.raise(value, read.completedUs, read)

    const mark = processed.before(read.invokedUs)?.cause
    if (mark && (!isRaw || mark.invokedUs > epochBeganUs)) {
      const write = row.written.before(mark.invokedUs)
      if (write && value < write.value) violated('P3', [write.cause, mark, read])
    }

    const { truth } = row
    if (truth && read.invokedUs > truth.completedUs && value !== valueOfTruth(truth)) violated('P1', [truth, read])

    if (typeof read.at === 'number' && !row.isShared && !row.byAt.has(read.at)) {
      // Of what is older than all that is remembered nothing is said.
      const [oldest] = row.byAt.keys()
      const isForgotten = row.byAt.size >= MAX_VALUES && oldest !== undefined && read.at < oldest
      if (!isForgotten && !row.unexplained.has(read.at)) forgetOldest(row.unexplained.set(read.at, read))
    }
    return found
  }

  function addTruth(truth: TruthRecord): Violation[] {
    const row = rowOf(truth.row)
    row.truth = truth
    const { newest } = row
    return newest && newest.completedUs < truth.invokedUs && valueOfTruth(truth) < valueOfWrite(newest)
      ? [{ rule: 'lost-write', subject: truth.row, story: [newest, truth] }]
      : []
  }

  function addFault(fault: FaultRecord): void {
    if (!fault.losesRedis) return
    if (fault.phase === 'begin') lossesUnderWay++
    else lossesUnderWay = Math.max(0, lossesUnderWay - 1)
    epoch++
    epochBeganUs = fault.completedUs
    for (const { answered } of rows.values())
      for (const channel of answered.keys()) if (channel.includes(' raw ')) answered.delete(channel)
  }

  return {
    add(record) {
      switch (record.op) {
        case 'write':
          return addWrite(record)
        case 'read':
          return addRead(record)
        case 'truth':
          return addTruth(record)
        case 'processed':
          processed.raise(record.invokedUs, record.completedUs, record)
          return []
        case 'fault':
          addFault(record)
          return []
        case 'deleting':
          rowOf(record.row).deletingSinceUs = Math.min(rowOf(record.row).deletingSinceUs, record.invokedUs)
          return []
        case 'shared':
          rowOf(record.row).isShared = true
          return []
        case 'effect':
          return effectsOf(record)
      }
    },
    finish: () =>
      [...rows.values()].flatMap((row): Violation[] =>
        row.isShared || row.hasUnknown
          ? []
          : Array.from(row.unexplained.values(), (read) => ({
              rule: 'never-written',
              subject: read.key,
              story: [...(row.newest ? [row.newest] : []), read],
            })),
      ),
    checkedReads: () => checkedReads,
    unjudgedReads: () => unjudgedReads,
  }
}

function effectsOf(record: EffectRecord): Violation[] {
  return record.happened === record.expected ? [] : [{ rule: 'exactly-once', subject: record.row, story: [record] }]
}

function valueOfWrite({ at }: WriteRecord): number {
  return at === 'gone' ? Infinity : (at ?? 0)
}

function valueOfTruth({ at }: TruthRecord): number {
  return at === 'gone' ? Infinity : at
}

/** Absent is the newest there is once a deletion may have happened, and the oldest before. */
function valueOfRead(read: ReadRecord, row: Row): number {
  if (read.at !== 'absent') return read.at
  return row.deletingSinceUs <= read.completedUs ? Infinity : 0
}

function forgetOldest(map: Map<number, unknown>): void {
  const [oldest] = map.keys()
  if (map.size > MAX_VALUES && oldest !== undefined) map.delete(oldest)
}
