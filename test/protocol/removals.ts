/**
 * What each rule is for: the properties that break when it is switched off, all of them and no other, under options that are
 * enough to show it. The models' tests hold this table; the replays take its runs to the real scripts.
 */
import { explore, type Exploration } from './explore.ts'
import type { ListModelOptions, ListRule } from './list-model-state.ts'
import { listMachine } from './list-model.ts'
import type { ModelOptions, Rule } from './model-state.ts'
import { rowMachine } from './model.ts'

export interface RowRemoval {
  readonly rule: Rule
  /** All that break, and no other. */
  readonly breaks: readonly string[]
  readonly options: Partial<ModelOptions>
  readonly why: string
}

const REINSERT: Partial<ModelOptions> = { lsns: [2, 3, 1], deletes: [2], absent: true, coalesce: true }

export const ROW_REMOVALS: readonly RowRemoval[] = [
  {
    rule: 'lease',
    breaks: ['P1', 'P2', 'P3'],
    options: {},
    why: 'a slow fill installs what it read before the change',
  },
  { rule: 'passed', breaks: ['P1', 'P2', 'P3'], options: {}, why: 'a slow fill does not know that a change came by' },
  { rule: 'version', breaks: ['P2', 'P3'], options: {}, why: 'an older change replaces a newer read' },
  { rule: 'snap', breaks: ['P2', 'P3'], options: {}, why: 'a change that the read contains replaces it' },
  {
    rule: 'ends',
    breaks: ['P2'],
    options: {},
    why: 'one reader answers the new state, another then installs the old one',
  },
  {
    rule: 'fence',
    breaks: ['P3'],
    options: {},
    why: 'the warmer creates what the invalidator has already seen replaced',
  },
  { rule: 'keepfence', breaks: ['P3'], options: {}, why: 'an evicted fence is no fence' },
  {
    rule: 'answered',
    breaks: ['P2'],
    options: {},
    why: 'the warmer creates what is older than an answer from the database',
  },
  {
    rule: 'visible',
    breaks: ['P1', 'P2', 'P3'],
    options: {},
    why: 'a fill reads the old row after its change was processed',
  },
  {
    rule: 'atomic',
    breaks: ['P2', 'P3'],
    options: { readers: 1, evict: 1, txs: 2, apart: false },
    why: 'a redelivered change creates an entry anew',
  },
  { rule: 'bypass', breaks: ['P2'], options: { tokens: true, txs: 2 }, why: 'the old entry outlives the newer answer' },
  { rule: 'token', breaks: ['L7'], options: { tokens: true, txs: 2 }, why: 'the entry does not have the write' },
  { rule: 'greatest', breaks: ['P1', 'P3'], options: REINSERT, why: 'the fence lies below the change that it covers' },
  { rule: 'fenceposition', breaks: ['F'], options: REINSERT, why: 'the last change is below the fence for ever' },
  {
    rule: 'viewfence',
    breaks: ['P1', 'P3'],
    options: { truncate: 2, deletes: [2], absent: true, evict: 1, txs: 2 },
    why: 'the warmer creates a row that a TRUNCATE removed',
  },
  {
    rule: 'generation',
    breaks: ['P1', 'P3'],
    options: { gap: 1, evict: 1, reads: 2 },
    why: 'a fill from before the forget slips in behind the sweep',
  },
  {
    rule: 'gapvisible',
    breaks: ['P1', 'P3'],
    options: { gap: 1, evict: 1, reads: 2 },
    why: 'a fill after the forget still reads a row whose change was lost',
  },
  {
    rule: 'repositionlast',
    breaks: ['F', 'P1', 'P3'],
    options: { gap: 1, rollback: 1, txs: 2, readers: 1, evict: 1 },
    why: 'Redis falls back into a forget that its positions say is done',
  },
  {
    rule: 'sweepfences',
    breaks: ['F'],
    options: { gap: 1, evict: 1, reads: 2 },
    why: 'nobody comes by any more for the fence of a lost change',
  },
  {
    rule: 'keepmarks',
    breaks: ['P2'],
    options: { gap: 1, evict: 1, reads: 2 },
    why: 'consumers of a new slot create entries older than what was answered while the slot was made',
  },
  {
    rule: 'floor',
    breaks: ['P2'],
    options: { rollback: 1, txs: 2, readers: 1, evict: 1 },
    why: 'Redis falls back behind what was answered',
  },
]

export interface ListRemoval {
  readonly off: readonly ListRule[]
  readonly breaks: readonly string[]
  readonly options: Partial<ListModelOptions>
  readonly why: string
}

const QUERY: Partial<ListModelOptions> = { kind: 'query' }

export const LIST_REMOVALS: readonly ListRemoval[] = [
  { off: ['snapshot'], breaks: ['P2', 'P3'], options: {}, why: 'an older change replaces the member of a newer fill' },
  {
    off: ['permember'],
    breaks: ['P1', 'P3'],
    options: {},
    why: 'the change of one row hides a later commit of another with a lower LSN',
  },
  {
    off: ['whole'],
    breaks: ['L7', 'P2', 'P3'],
    options: { tokens: true, reads: 2 },
    why: 'a list with a hole looks whole',
  },
  { off: ['mark'], breaks: ['W'], options: {}, why: 'nobody knows that a list was there' },
  {
    off: ['lease'],
    breaks: ['P1', 'P2', 'P3'],
    options: {},
    why: 'a slow fill installs what it read before the change',
  },
  { off: ['passed'], breaks: ['P1', 'P3'], options: {}, why: 'a slow fill does not know that a change came by' },
  {
    off: ['ends'],
    breaks: ['P2'],
    options: {},
    why: 'one reader answers the new state, another then installs the old one',
  },
  {
    off: ['visible'],
    breaks: ['P1', 'P2', 'P3'],
    options: {},
    why: 'a fill reads the old rows after the change was processed',
  },
  {
    off: ['bypass'],
    breaks: ['P2'],
    options: { tokens: true, reads: 2 },
    why: 'the old list outlives the newer answer',
  },
  // One consumer at a time writes members, in order and never twice: then a member's own version decides nothing. It is
  // what holds where a change is delivered again.
  {
    off: ['memberversion', 'atomic'],
    breaks: ['P2', 'P3'],
    options: { apart: false },
    why: 'a redelivered change takes a member back',
  },
  { off: ['lease'], breaks: ['P1', 'P2', 'P3'], options: QUERY, why: 'a slow fill installs what it read before' },
  { off: ['passed'], breaks: ['P1', 'P3'], options: QUERY, why: 'a slow fill does not know that a change came by' },
  { off: ['ends'], breaks: ['P2'], options: QUERY, why: 'an old fill follows a newer answer' },
  { off: ['visible'], breaks: ['P1', 'P3'], options: QUERY, why: 'a fill reads the old rows after the change' },
]

const explored = new Map<string, Exploration>()

function once(name: string, exploration: () => Exploration): Exploration {
  let known = explored.get(name)
  if (!known) {
    known = exploration()
    explored.set(name, known)
  }
  return known
}

/** The shortest runs that break each property, explored once a process. */
export function rowRuns({ rule, options }: Pick<RowRemoval, 'rule' | 'options'>): Exploration {
  return once(JSON.stringify([rule, options]), () => explore(rowMachine({ ...options, off: [rule] })))
}

export function listRuns({ off, options }: Pick<ListRemoval, 'off' | 'options'>): Exploration {
  return once(JSON.stringify([off, options]), () => explore(listMachine({ ...options, off })))
}
