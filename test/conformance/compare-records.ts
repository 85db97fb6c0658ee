/** Records of the real connector against ours: byte for byte, but for what a clock, a random id or the slot of a snapshot decides. */
import type { DebeziumRecord } from '../../src/change/debezium/encode.ts'
import type { KafkaRecord } from '../../src/log/kafka/committed-records.ts'
import { HEARTBEAT_PREFIX } from '../../src/roles/connector/connector-properties.ts'
import type { GroupOutcome } from './both-captures.ts'
import type { GroupName } from './case.ts'
import { differencesOf, parseExact } from './exact-json.ts'
import type { ExpectedDifference } from './expected-differences.ts'

export interface Difference {
  readonly group: GroupName
  /** Without the prefix: `types.scalars`. */
  readonly topic: string
  /** From 0, in the topic. */
  readonly index: number
  readonly phase: 'snapshot' | 'stream'
  readonly path: string
  readonly theirs: string | undefined
  readonly ours: string | undefined
}

/** Of the connector's wall clock, or of a release. */
const CLOCK = /^(?:ts_(?:ms|us|ns)|source\.version)$/
/** Each slot has a consistent point of its own, and takes an xid for its snapshot. */
const OF_SNAPSHOT = /^source\.(?:ts_(?:ms|us|ns)|txId|lsn|sequence)$/
const RUN_ID = '__debezium.context.runId'

export interface Comparison {
  readonly compared: number
  readonly unexpected: readonly Difference[]
  /** Ids of the differences that occurred. */
  readonly occurred: ReadonlySet<string>
}

export function compareGroup(outcome: GroupOutcome, expected: readonly ExpectedDifference[]): Comparison {
  const { group, prefix, theirs, ours } = outcome
  const unexpected: Difference[] = []
  const occurred = new Set<string>()
  let compared = 0
  const excuse = (found: Difference): boolean => {
    const excuses = expected.filter((one) => isExpected(one, found))
    for (const { id } of excuses) occurred.add(id)
    return excuses.length > 0
  }
  for (const topic of new Set([...theirs.keys(), ...ours.keys()])) {
    if (topic.startsWith('__debezium-heartbeat')) continue
    const place = { group: group.name, topic: topic.slice(prefix.length + 1) }
    const isOnlyTheirs = (record: Comparable, index: number): boolean =>
      expected.some(({ path }) => path.test('record')) &&
      excuse({ ...place, index, phase: record.phase, path: 'record', theirs: record.value ?? 'null', ours: undefined })
    const left = (theirs.get(topic) ?? [])
      .map(fromKafka)
      .filter(isOurs)
      .filter((one, index) => !isOnlyTheirs(one, index))
    const right = (ours.get(topic) ?? []).map(fromTail).filter(isOurs)
    for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
      compared += 1
      const at = { ...place, index, phase: (left[index] ?? right[index])?.phase ?? 'stream' }
      for (const found of compareRecords(left[index], right[index], place.topic)) {
        const difference = { ...at, ...found }
        if (!excuse(difference)) unexpected.push(difference)
      }
      // What follows a record too many would all be different.
      if (!left[index] || !right[index]) break
    }
  }
  return { compared, unexpected, occurred }
}

function isExpected(one: ExpectedDifference, found: Difference): boolean {
  return (
    one.groups.includes(found.group) &&
    one.topic.test(found.topic) &&
    one.path.test(found.path) &&
    (one.phase ?? found.phase) === found.phase &&
    (one.is?.(found.theirs, found.ours) ?? true)
  )
}

interface Comparable {
  readonly key: string | null
  readonly value: string | null
  /** In their order. */
  readonly headers: readonly (readonly [string, string])[]
  readonly phase: 'snapshot' | 'stream'
}

function fromKafka(record: KafkaRecord): Comparable {
  const value = record.value === null ? null : payloadOf(record.value.toString())
  const key = record.key === null ? null : payloadOf(record.key.toString())
  return { key, value, headers: comparableHeaders(record.headers), phase: phaseOf(value) }
}

function fromTail({ key, value, headers }: DebeziumRecord): Comparable {
  return { key, value, headers: comparableHeaders(Object.entries(headers)), phase: phaseOf(value) }
}

function comparableHeaders(headers: Iterable<readonly [string, string]>): Comparable['headers'] {
  return [...headers].filter(([name]) => name !== RUN_ID)
}

function phaseOf(value: string | null): Comparable['phase'] {
  return value?.includes('"op":"r"') === true ? 'snapshot' : 'stream'
}

/** Our own connector's heartbeat writes messages, which one slot may have been too late for. */
function isOurs({ key }: Comparable): boolean {
  return key !== `{"prefix":"${HEARTBEAT_PREFIX}"}`
}

/** With `schemas.enable=true`, the payload's own bytes. */
function payloadOf(text: string): string {
  const at = text.startsWith('{"schema":') ? text.indexOf(',"payload":') : -1
  return at < 0 ? text : text.slice(at + ',"payload":'.length, -1)
}

type Found = Pick<Difference, 'path' | 'theirs' | 'ours'>

function compareRecords(left: Comparable | undefined, right: Comparable | undefined, topic: string): readonly Found[] {
  if (!left || !right) return [{ path: 'record', theirs: left?.value ?? undefined, ours: right?.value ?? undefined }]
  const found: Found[] = []
  const add = (path: string, theirs: string | undefined, ours: string | undefined): void => {
    if (theirs !== ours) found.push({ path, theirs, ours })
  }
  add('key', left.key ?? 'null', right.key ?? 'null')
  const names = new Set([...left.headers, ...right.headers].map(([name]) => name))
  const [theirs, ours] = [new Map(left.headers), new Map(right.headers)]
  for (const name of names) add(`header ${name}`, theirs.get(name), ours.get(name))
  add('headers (order)', [...theirs.keys()].join(), [...ours.keys()].join())
  if (left.value === null || right.value === null) add('value', left.value ?? 'null', right.value ?? 'null')
  else {
    const isFirst = topic.startsWith('zz') && left.value.includes('"after":{"id":1}')
    for (const { path, theirs: a, ours: b } of differencesOf(parseExact(left.value), parseExact(right.value))) {
      // Whether a message was seen before the first transaction depends on when the slot was made.
      if (CLOCK.test(path) || ((left.phase === 'snapshot' || isFirst) && OF_SNAPSHOT.test(path))) continue
      add(path, a, b)
    }
  }
  return found
}

/** Two lines a difference: where, and the texts from shortly before they part. */
export function describeDifference({ group, topic, index, phase, path, theirs, ours }: Difference): string {
  const [a, b] = [theirs ?? '(nothing)', ours ?? '(nothing)']
  let at = 0
  while (at < a.length && a[at] === b[at]) at += 1
  const from = Math.max(0, at - 40)
  const part = (text: string): string =>
    `${from > 0 ? '…' : ''}${text.slice(from, at + 80)}${text.length > at + 80 ? '…' : ''}`
  return `${group} ${topic}, record ${index} (${phase}), ${path}:\n    Debezium ${part(a)}\n    ours     ${part(b)}`
}
