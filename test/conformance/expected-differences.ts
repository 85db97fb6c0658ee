/**
 * Where our records differ from Debezium's on purpose. docs/decisions/debezium-differences.md has the same list for people, by id, and
 * a test compares the two. A difference that no longer occurs is a failure as well.
 */
import { ALL_GROUPS, type GroupName } from './case.ts'

export interface ExpectedDifference {
  readonly id: string
  /** It has to occur in each of these, and in no other. */
  readonly groups: readonly GroupName[]
  /** `types.scalars`, with whatever delimiter. */
  readonly topic: RegExp
  /** `after.na`, `key`, `header __debezium.newkey`; for records that only Debezium has, `record`. */
  readonly path: RegExp
  readonly phase?: 'snapshot' | 'stream'
  /** More precisely, by the JSON texts. undefined: the field is not there. */
  readonly is?: (theirs: string | undefined, ours: string | undefined) => boolean
}

const isNull = (theirs: string | undefined): boolean => theirs === 'null'

export const EXPECTED_DIFFERENCES: readonly ExpectedDifference[] = [
  {
    id: 'name-null-in-stream',
    groups: ['defaults', 'registered', 'iso'],
    topic: /^(types.scalars|defaults.)/,
    path: /^(before|after)\.(na|named)$/,
    phase: 'stream',
    is: (theirs) => theirs === 'null' || theirs === '""',
  },
  {
    id: 'snapshot-dates-before-1582',
    groups: ALL_GROUPS,
    topic: /^types.times/,
    path: /^after\.d$/,
    phase: 'snapshot',
    is: (theirs, ours) => theirs !== 'null' && ours !== 'null',
  },
  {
    id: 'multi-dimensional-arrays',
    groups: ALL_GROUPS,
    topic: /^types.arrays/,
    path: /^(before|after)\.(mi|mt)$/,
  },
  {
    id: 'negative-numeric-scale',
    groups: ['defaults', 'registered', 'iso', 'nanoseconds', 'with-schemas'],
    topic: /^types.numbers/,
    path: /^(before|after)\.nneg$/,
  },
  {
    id: 'empty-bit-varying-1',
    groups: ALL_GROUPS,
    topic: /^types.scalars/,
    path: /^(before|after)\.vb1$/,
    is: isNull,
  },
  {
    id: 'arrays-not-converted',
    groups: ALL_GROUPS,
    topic: /^types.arrays/,
    path: /^(before|after)\.(aen|abi|abi1)$/,
    is: isNull,
  },
  {
    id: 'time-arrays-cut',
    groups: ALL_GROUPS,
    topic: /^types.arrays/,
    path: /^(before|after)\.(ati|atz)$/,
  },
  {
    id: 'infinite-intervals',
    groups: ALL_GROUPS,
    topic: /^types.times/,
    path: /^(before|after)\.iv$/,
    is: (theirs) => theirs === '0' || theirs === '"P0Y0M0DT0H0M0S"',
  },
  {
    id: 'map-order',
    groups: ['defaults', 'registered', 'iso', 'nanoseconds', 'with-schemas'],
    topic: /^types.others/,
    path: /^(before|after)\.hs$/,
    is: (theirs, ours) => pairsOf(theirs) === pairsOf(ours),
  },
  {
    id: 'map-order',
    groups: ['double'],
    topic: /^types.others/,
    path: /^(before|after)\.hs\.\(order\)$/,
  },
  {
    id: 'map-order',
    groups: ['double'],
    topic: /^transaction$/,
    path: /^data_collections$/,
    is: (theirs, ours) => setOf(theirs) === setOf(ours),
  },
  {
    id: 'message-collection-name',
    groups: ['double'],
    topic: /^(transaction|message)$/,
    path: /^(data_collections|transaction\.data_collection_order)$/,
    is: (theirs, ours) => {
      const named = theirs?.startsWith('[') ? theirs.includes('LogicalDecodingMessage') : theirs === '1'
      return named && (ours === '2' || ours?.includes('"LOGICAL_DECODING_MESSAGE"') === true)
    },
  },
  {
    id: 'default-expressions',
    groups: ALL_GROUPS,
    topic: /^defaults./,
    path: /^(before|after)\.(quoted|keyword|joined|escaped)$/,
  },
  {
    id: 'header-keys',
    groups: ['defaults', 'double', 'iso'],
    topic: /^keys.typed$/,
    path: /^header __debezium\.(new|old)key$/,
  },
  {
    id: 'snapshot-key-excluded',
    groups: ['nanoseconds', 'with-schemas'],
    topic: /^filters\.(columns|some)$/,
    path: /^key$/,
    phase: 'snapshot',
    is: (theirs) => theirs === '{"id":0}',
  },
  {
    id: 'renamed-out-of-sight',
    groups: ['defaults', 'registered', 'double'],
    topic: /^ddl\.leaving$/,
    path: /^record$/,
    is: (theirs) => theirs?.includes('"after":{"id":2,') === true,
  },
  {
    id: 'renamed-out-of-sight',
    groups: ['double'],
    topic: /^transaction$/,
    path: /^(event_count|data_collections)$/,
    is: (theirs, ours) =>
      (theirs === '1' && ours === '0') || (theirs?.includes('"ddl.leaving"') === true && ours === '[]'),
  },
]

/** The pairs of an hstore in a string, in one order. */
function pairsOf(text: string | undefined): string {
  const object = JSON.parse(JSON.parse(text ?? '"{}"') as string) as object
  return JSON.stringify(Object.entries(object).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** The elements of a JSON array of objects, in one order. */
function setOf(text: string | undefined): string {
  return JSON.stringify((JSON.parse(text ?? '[]') as unknown[]).map((one) => JSON.stringify(one)).toSorted())
}
