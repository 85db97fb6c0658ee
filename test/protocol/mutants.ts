/**
 * The real Lua with one rule taken out, by its text: what a checker must be able to find. An edit that no longer fits the
 * script is an error of the test, not a mutant that survived.
 */
import type { ListModelOptions, ListRule } from './list-model-state.ts'
import type { ModelOptions, Rule } from './model-state.ts'
import type { Edit } from './replay.ts'

export interface Mutant {
  readonly name: string
  readonly edits: readonly Edit[]
  /** What it breaks, where that is not what the model without the rule breaks. */
  readonly breaks?: readonly string[]
}

export interface RowMutant extends Mutant {
  /** The model's rule that this is, and the options under which its removal shows. */
  readonly rule: Rule
  readonly options: Partial<ModelOptions>
}

export interface ListMutant extends Mutant {
  readonly off: readonly ListRule[]
  readonly options: Partial<ListModelOptions>
}

const LEASE_CHECK =
  "if not (isGeneration and lease and token ~= '' and sub(lease, 1, #token + 1) == token .. ';') then return false end"
const NOTED_CHECK = "for xid in gmatch(sub(lease, #token + 2), '%d+') do"
const LEASE_END =
  "    -- An answer that is not stored ends the lease of whoever holds it.\n    redis.call('UNLINK', leaseKey)"

const SETTLE: Readonly<Record<'lease' | 'passed' | 'ends', Mutant>> = {
  lease: { name: 'a fill needs no lease', edits: [{ from: LEASE_CHECK, to: 'if true then return true end' }] },
  passed: {
    name: 'a fill does not look at the changes that passed',
    edits: [{ from: NOTED_CHECK, to: 'for xid in gmatch("", "%d+") do' }],
  },
  ends: {
    name: 'an answer that is not stored ends no lease',
    edits: [
      {
        from: LEASE_END,
        to: "    if lease and token ~= '' and sub(lease, 1, #token + 1) == token .. ';' then redis.call('UNLINK', leaseKey) end",
      },
    ],
  },
}

const NOTE: Mutant = {
  name: 'changes are not noted in leases',
  edits: [{ from: 'if lease then note(sideKey(i, LEASE), lease, xids) end', to: '' }],
}

const READS: Mutant = {
  name: 'an entry from a read is older than any change',
  edits: [
    {
      from: 'if entry.snapshot then return not areAllVisible(xids, entry.snapshot) end',
      to: 'if entry.snapshot then return true end',
    },
  ],
}

const KEPT: Mutant = {
  name: 'an entry that does not satisfy a token stays',
  edits: [
    {
      from: "    else\n      redis.call('UNLINK', key)\n    end\n  end\n  if not answer and absent then",
      to: '    end\n  end\n  if not answer and absent then',
    },
    { from: "if what ~= 'x' and mayStore(lease) then", to: "if what ~= 'x' and not entry and mayStore(lease) then" },
  ],
}

export const ANYWHERE: Edit = {
  from: "if (role ~= 'w' and storedInvalidator ~= ARGV[2]) or (role ~= 'i' and storedWarmer ~= ARGV[3]) then",
  to: 'if false then',
}

const REINSERT: Partial<ModelOptions> = { lsns: [2, 3, 1], deletes: [2], absent: true, coalesce: true }

export const ROW_MUTANTS: readonly RowMutant[] = [
  { ...SETTLE.lease, rule: 'lease', options: {} },
  { ...SETTLE.passed, rule: 'passed', options: {} },
  { ...NOTE, rule: 'passed', options: {} },
  { ...SETTLE.ends, rule: 'ends', options: {} },
  { ...READS, rule: 'snap', options: {} },
  {
    name: 'the invalidator raises no fence',
    edits: [{ from: 'raiseFence(sideKey(i, FENCE), fence, lsn, position, isRemoved)', to: '' }],
    rule: 'fence',
    options: {},
  },
  {
    name: 'the warmer does not look at fences',
    edits: [{ from: 'isBehindOthers = isFenced or absent or', to: 'isBehindOthers = absent or' }],
    rule: 'fence',
    options: {},
  },
  {
    name: 'an answer from the database leaves no mark',
    edits: [
      {
        from: "redis.call('SET', answeredKey, answered and answered > bound and answered or bound, 'PX', markMs)",
        to: '',
      },
    ],
    rule: 'answered',
    options: {},
  },
  {
    name: 'the warmer does not look at marks',
    edits: [{ from: '(answered and answered > lsn)', to: 'false' }],
    rule: 'answered',
    options: {},
  },
  { ...KEPT, rule: 'bypass', options: { tokens: true, txs: 2 } },
  {
    name: 'a token accepts any entry',
    edits: [{ from: 'return entry.lsn >= lsn or xidOf(key) == xid', to: 'return true' }],
    rule: 'token',
    options: { tokens: true, txs: 2 },
  },
  {
    name: 'the warmer passes fences by LSN alone',
    edits: [{ from: "or (position ~= '' and fencePosition ~= '' and fencePosition <= position)", to: '' }],
    rule: 'fenceposition',
    options: REINSERT,
  },
  {
    name: 'the warmer does not look at the fence of its view',
    edits: [{ from: 'or view.fence > lsn', to: '' }],
    rule: 'viewfence',
    options: { truncate: 2, deletes: [2], absent: true, evict: 1, txs: 2 },
  },
  {
    name: 'a fill does not look at the generation',
    edits: [{ from: LEASE_CHECK, to: LEASE_CHECK.replace('isGeneration and ', '') }],
    rule: 'generation',
    options: { gap: 1, evict: 1, reads: 2 },
  },
  {
    name: 'a batch may continue from anywhere',
    edits: [ANYWHERE],
    rule: 'atomic',
    options: { readers: 1, evict: 1, txs: 2, apart: false },
  },
]

const TOKENS: Partial<ListModelOptions> = { tokens: true, reads: 2 }
const QUERY: Partial<ListModelOptions> = { kind: 'query' }

export const LIST_MUTANTS: readonly ListMutant[] = [
  { ...SETTLE.lease, off: ['lease'], options: {} },
  { ...SETTLE.passed, off: ['passed'], options: {} },
  { ...NOTE, off: ['passed'], options: {} },
  { ...SETTLE.ends, off: ['ends'], options: {} },
  { ...KEPT, off: ['bypass'], options: TOKENS },
  {
    name: 'a member is replaced whatever the snapshot of its list shows',
    edits: [{ from: 'if not areAllVisible(xids, entry.snapshot) then', to: 'if true then' }],
    off: ['snapshot'],
    options: {},
  },
  {
    name: 'the invalidator leaves lists alone',
    edits: [
      {
        from: 'if entry and isOlder(entry, lsn, xids) and not (',
        to: "if entry and view.kind ~= 'h' and isOlder(entry, lsn, xids) and not (",
      },
    ],
    breaks: ['P3'],
    off: ['whole'],
    options: {},
  },
  {
    name: 'the invalidator leaves no mark where it removed a list',
    edits: [{ from: "(wasThere and '+' or mark)", to: "''" }],
    off: ['mark'],
    options: {},
  },
  {
    name: 'a batch may continue from anywhere, and members have no version',
    edits: [ANYWHERE, { from: 'if not (memberLsn and memberLsn >= lsn) then', to: 'if true then' }],
    off: ['memberversion', 'atomic'],
    options: { apart: false },
  },
  { ...SETTLE.lease, off: ['lease'], options: QUERY },
  { ...SETTLE.passed, off: ['passed'], options: QUERY },
  { ...SETTLE.ends, off: ['ends'], options: QUERY },
]
