/** New inputs from recorded ones: as bytes, which breaks lengths and texts, and as JSON, which stays JSON. */
import fc from 'fast-check'

const INTERESTING = [0, 1, -1, 4, 127, 128, 255, 256, 32_767, 65_535, 65_536, 0x3fff_ffff, 0x7fff_ffff, -0x8000_0000]
const WORDS = ['\0', '\u{1f600}', '\\u0000', '\xff\xfe', '\xed\xa0\x80', '9'.repeat(30), '{'.repeat(40), ':', '|', ',']

type Mutation = (bytes: Buffer) => Buffer

const place = fc.nat({ max: 65_535 })
const at = (nat: number, length: number): number => (length === 0 ? 0 : nat % length)

const flip = fc.tuple(place, fc.nat({ max: 7 })).map(([nat, bit]): Mutation => {
  return (bytes) => write(bytes, at(nat, bytes.length), (copy, from) => (copy[from] = (copy[from] ?? 0) ^ (1 << bit)))
})
const overwrite = fc.tuple(place, fc.nat({ max: 255 })).map(([nat, value]): Mutation => {
  return (bytes) => write(bytes, at(nat, bytes.length), (copy, from) => (copy[from] = value))
})
const length32 = fc
  .tuple(place, fc.oneof(fc.constantFrom(...INTERESTING), fc.integer()))
  .map(([nat, value]): Mutation => {
    return (bytes) =>
      bytes.length < 4
        ? bytes
        : write(bytes, at(nat, bytes.length - 3), (copy, from) => copy.writeInt32BE(value | 0, from))
  })
const remove = fc.tuple(place, fc.integer({ min: 1, max: 40 })).map(([nat, count]): Mutation => {
  return (bytes) => {
    const from = at(nat, bytes.length)
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + count)])
  }
})
const insert = fc
  .tuple(
    place,
    fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 12 }).map((some) => Buffer.from(some)),
      fc.constantFrom(...WORDS).map((word) => Buffer.from(word, 'latin1')),
    ),
  )
  .map(([nat, some]): Mutation => {
    return (bytes) => {
      const from = at(nat, bytes.length + 1)
      return Buffer.concat([bytes.subarray(0, from), some, bytes.subarray(from)])
    }
  })
const repeat = fc.tuple(place, place, fc.integer({ min: 1, max: 200 })).map(([from, to, count]): Mutation => {
  return (bytes) => {
    const source = at(from, bytes.length)
    const target = at(to, bytes.length + 1)
    const some = bytes.subarray(source, source + count)
    return Buffer.concat([bytes.subarray(0, target), some, bytes.subarray(target)])
  }
})
const cut = place.map(
  (nat): Mutation =>
    (bytes) =>
      bytes.subarray(0, at(nat, bytes.length)),
)

const mutation = fc.oneof(flip, overwrite, length32, remove, insert, repeat, cut)

function write(bytes: Buffer, from: number, change: (copy: Buffer, from: number) => unknown): Buffer {
  if (bytes.length === 0) return bytes
  const copy = Buffer.from(bytes)
  change(copy, from)
  return copy
}

/** Mostly seeds with a few changes, sometimes two of them one behind the other, now and then plain noise. */
export function mutatedBytes(seeds: readonly Buffer[]): fc.Arbitrary<Buffer> {
  const seed = fc.constantFrom(...seeds)
  const some = fc.array(mutation, { maxLength: 6, size: 'max' })
  const apply = (bytes: Buffer, mutations: readonly Mutation[]): Buffer =>
    mutations.reduce((current, mutate) => mutate(current), bytes)
  return fc.oneof(
    { weight: 8, arbitrary: fc.tuple(seed, some).map(([bytes, mutations]) => apply(bytes, mutations)) },
    {
      weight: 2,
      arbitrary: fc.tuple(seed, seed, some).map(([one, two, all]) => apply(Buffer.concat([one, two]), all)),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((noise) => Buffer.from(noise)) },
  )
}

/** Names that an object without care finds on its prototype, and what databases and parsers stumble over. */
export const ODD_TEXTS = [
  '',
  ' ',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '\0',
  'a\0b',
  '\ud800',
  '\u{1f600}',
  '\u2028',
  '../../etc/passwd',
  "' or 1=1 --",
  '%00',
  '1e999',
  '-0',
  '00000000-0000-0000-0000-000000000000',
  'x'.repeat(5000),
] as const

export const oddText = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom<string>(...ODD_TEXTS) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
)

const oddJson: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1.5, 1e300, 2 ** 53, -(2 ** 31), [], {}, [[[[]]]]),
  oddText,
  fc.jsonValue({ maxDepth: 2 }),
)

type Holder = Record<string, unknown> | unknown[]

/** `nth`: of all members of the document, in order. */
type JsonMutation = {
  readonly nth: number
  readonly how: 'replace' | 'remove' | 'add' | 'rename'
  readonly name: string
  readonly value: unknown
}

/** JSON texts: a seed of which some members were replaced, removed, renamed or added. */
export function mutatedJson(seeds: readonly unknown[]): fc.Arbitrary<unknown> {
  const change: fc.Arbitrary<JsonMutation> = fc.record({
    nth: place,
    how: fc.constantFrom('replace', 'replace', 'remove', 'add', 'rename'),
    name: oddText,
    value: oddJson,
  })
  return fc.tuple(fc.constantFrom(...seeds), fc.array(change, { maxLength: 4 })).map(([seed, changes]) => {
    const root = { root: structuredClone(seed) }
    for (const one of changes) mutateJson(root, one)
    return root.root
  })
}

function mutateJson(root: Record<string, unknown>, { nth, how, name, value }: JsonMutation): void {
  const members: [Holder, string][] = []
  const collect = (holder: Holder): void => {
    for (const [key, member] of Object.entries(holder)) {
      members.push([holder, key])
      if (typeof member === 'object' && member !== null) collect(member as Holder)
    }
  }
  collect(root)
  const [holder, key] = members[at(nth, members.length)] ?? [root, 'root']
  const object = holder as Record<string, unknown>
  // Of its own: the next change may be within it.
  const own = structuredClone(value)
  if (how === 'replace' || holder === root) define(object, key, own)
  else if (how === 'remove') delete object[key]
  else if (how === 'add') define(object, name, own)
  else {
    define(object, name, object[key])
    delete object[key]
  }
}

/** `__proto__` becomes a member like any other, as JSON.parse makes it. */
function define(object: Record<string, unknown>, name: string, value: unknown): void {
  if (Array.isArray(object) && !Object.hasOwn(object, name)) {
    object.push(value)
    return
  }
  if (Array.isArray(object) && name === 'length') return
  Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
}

export const asBytes = (json: fc.Arbitrary<unknown>): fc.Arbitrary<Buffer> =>
  json.map((value) => Buffer.from(JSON.stringify(value) ?? 'null'))
