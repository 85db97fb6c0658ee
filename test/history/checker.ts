/**
 * Finds what must not be in a record. Pure, and one record at a time, so that it runs beside the load as well as over a file; the
 * order of records that complete at the same time, or of different rows, makes no difference.
 *
 * - P2: an answer older than one that had been given for the key before it was asked, by any reader (http, sdk). The database by itself likewise.
 *   While one reader is cut off from Redis, each is held against its own answers only. While consumers come to terms with a Redis that lost writes, services that have just
 *   begun are held against nothing, and the others against their own answers. Raw reads are promised no P2.
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
  /** While Redis had lost writes, those to which neither P2 nor P3 promises anything. Tokens hold nevertheless. */
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
  /** The first answer that was newer than the truth: a write that has not completed yet has to explain it. */
  ahead: { readonly truth: TruthRecord; readonly read: ReadRecord } | undefined
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
  const losses = createWindows()
  const quietLosses = createWindows()
  const restarts = createWindows()
  const cuts = createWindows()
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
        ahead: undefined,
        answered: new Map(),
      }
      rows.set(name, row)
    }
    return row
  }

  function addWrite(write: WriteRecord): Violation[] {
    const row = rowOf(write.row)
    row.truth = undefined
    if (row.ahead && write.invokedUs < row.ahead.read.completedUs) row.ahead = undefined
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
    const mark = processed.before(read.invokedUs)?.cause
    const isOfDatabase = read.door === 'sql'
    const isCurrent = isOfDatabase || losses.areCaughtUp(read, mark)
    const isOnward =
      isOfDatabase ||
      (!isRaw && quietLosses.areCaughtUp(read, mark) && (read.door === 'sdk' || restarts.areCaughtUp(read, mark)))
    const isJudged = isCurrent || isOnward
    if (isJudged) checkedReads++
    else unjudgedReads++
    if (isRaw && !isJudged) return []
    const value = valueOfRead(read, row)
    const found: Violation[] = []
    const violated = (rule: Rule, story: readonly HistoryRecord[]): void =>
      void found.push({ rule, subject: read.key, story })

    if (read.token !== undefined && value < (read.token === 'gone' ? Infinity : read.token)) {
      const write = read.token === 'gone' ? row.deletion : row.byAt.get(read.token)
      violated('read-your-writes', write ? [write, read] : [read])
    }

    const ofDoor = floorOf(row, `${read.key} ${read.door}`)
    const ofReaders = isRaw || read.door === 'sql' ? ofDoor : floorOf(row, read.key)
    const isTogether = cuts.areOver(read) && restarts.areCaughtUp(read, mark)
    const before = (isTogether ? ofReaders : ofDoor).before(read.invokedUs)
    if (isOnward && before && value < before.value) {
      const write = row.byAt.get(before.value)
      violated('P2', [...(write ? [write] : []), before.cause, read])
    }
    const processedWrite = mark && isCurrent ? row.written.before(mark.invokedUs) : undefined
    // Absent may also be from before the row was there, unless it was there for sure, and what is judged may not be from before that.
    const isKnown =
      read.at !== 'absent' || (isOnward && before !== undefined && before.value > 0) || processedWrite !== undefined
    if (isKnown) for (const floor of new Set([ofDoor, ofReaders])) floor.raise(value, read.completedUs, read)
    if (processedWrite && mark && value < processedWrite.value) violated('P3', [processedWrite.cause, mark, read])

    const { truth } = row
    if (truth && read.invokedUs > truth.completedUs) {
      if (value < valueOfTruth(truth)) violated('P1', [truth, read])
      else if (value > valueOfTruth(truth)) row.ahead ??= { truth, read }
    }

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

  function retire(name: string): Violation[] {
    const row = rows.get(name)
    rows.delete(name)
    return row ? leftOf(row) : []
  }

  function addFault(fault: FaultRecord): void {
    if (fault.losesRedis) losses.note(fault)
    if (fault.losesRedis && fault.isQuiet === true) quietLosses.note(fault)
    if (fault.restartsServices === true) restarts.note(fault)
    if (fault.losesRedis || fault.cutsReaders) cuts.note(fault)
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
        case 'retired':
          return retire(record.row)
        case 'effect':
          return effectsOf(record)
      }
    },
    finish: () => [...rows.values()].flatMap(leftOf),
    checkedReads: () => checkedReads,
    unjudgedReads: () => unjudgedReads,
  }
}

interface Windows {
  note(fault: FaultRecord): void
  /** None was open when the read began, or later. */
  areOver(read: ReadRecord): boolean
  /** And consumers have processed since all that was written before the end of the last one. */
  areCaughtUp(read: ReadRecord, mark: ProcessedRecord | undefined): boolean
}

function createWindows(): Windows {
  let underWay = 0
  let untilUs = -Infinity
  const areOver = (read: ReadRecord): boolean => underWay === 0 && read.invokedUs > untilUs
  return {
    note({ phase, completedUs }) {
      underWay = Math.max(0, underWay + (phase === 'begin' ? 1 : -1))
      untilUs = completedUs
    },
    areOver,
    areCaughtUp: (read, mark) =>
      areOver(read) && (untilUs === -Infinity || (mark !== undefined && mark.invokedUs > untilUs)),
  }
}

function leftOf(row: Row): Violation[] {
  const { ahead } = row
  return [
    ...(ahead ? [{ rule: 'P1', subject: ahead.read.key, story: [ahead.truth, ahead.read] } as const] : []),
    ...unexplainedOf(row),
  ]
}

function unexplainedOf(row: Row): Violation[] {
  if (row.isShared || row.hasUnknown) return []
  return Array.from(row.unexplained.values(), (read) => ({
    rule: 'never-written',
    subject: read.key,
    story: [...(row.newest ? [row.newest] : []), read],
  }))
}

function floorOf(row: Row, name: string): Floor<ReadRecord> {
  let floor = row.answered.get(name)
  if (!floor) row.answered.set(name, (floor = createFloor()))
  return floor
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

/** Absent counts as the newest there is once a deletion may have happened, and as the oldest before. */
function valueOfRead(read: ReadRecord, row: Row): number {
  if (read.at !== 'absent') return read.at
  return row.deletingSinceUs <= read.completedUs ? Infinity : 0
}

function forgetOldest(map: Map<number, unknown>): void {
  const [oldest] = map.keys()
  if (map.size > MAX_VALUES && oldest !== undefined) map.delete(oldest)
}
