/** JSON as it is written: every value keeps its own text, every object its order. `JSON.parse` loses digits, escapes and order. */

export type ExactJson = ExactScalar | ExactObject | ExactArray

interface ExactScalar {
  readonly kind: 'scalar'
  readonly text: string
}

interface ExactObject {
  readonly kind: 'object'
  readonly text: string
  /** In their order. */
  readonly members: ReadonlyMap<string, ExactJson>
}

interface ExactArray {
  readonly kind: 'array'
  readonly text: string
  readonly elements: readonly ExactJson[]
}

const SCALAR = /"(?:[^"\\]|\\.)*"|[-+\w.]+/y

/** Of compact JSON: no space between tokens. @throws SyntaxError with the place */
export function parseExact(text: string): ExactJson {
  let at = 0

  function value(): ExactJson {
    const start = at
    if (text[at] === '{') {
      const members = new Map<string, ExactJson>()
      list('}', () => {
        const name = JSON.parse(scalar()) as string
        expect(':')
        members.set(name, value())
      })
      return { kind: 'object', text: text.slice(start, at), members }
    }
    if (text[at] === '[') {
      const elements: ExactJson[] = []
      list(']', () => elements.push(value()))
      return { kind: 'array', text: text.slice(start, at), elements }
    }
    return { kind: 'scalar', text: scalar() }
  }

  function list(end: string, item: () => void): void {
    at += 1
    if (text[at] === end) {
      at += 1
      return
    }
    for (;;) {
      item()
      if (text[at] === end) break
      expect(',')
    }
    at += 1
  }

  function scalar(): string {
    SCALAR.lastIndex = at
    const match = SCALAR.exec(text)
    if (!match) throw new SyntaxError(`no JSON value at ${at}`)
    at += match[0].length
    return match[0]
  }

  function expect(token: string): void {
    if (text[at] !== token) throw new SyntaxError(`${token} expected at ${at}`)
    at += 1
  }

  const parsed = value()
  if (at !== text.length) throw new SyntaxError(`the JSON ends at ${at}, its text at ${text.length}`)
  return parsed
}

export interface JsonDifference {
  /** `after.amount`, `source.lsn`. */
  readonly path: string
  /** undefined: not there. */
  readonly theirs: string | undefined
  readonly ours: string | undefined
}

/** Where two texts differ, as deep as both are objects with the same members in the same order. */
export function differencesOf(theirs: ExactJson, ours: ExactJson, path = ''): readonly JsonDifference[] {
  if (theirs.text === ours.text) return []
  if (theirs.kind !== 'object' || ours.kind !== 'object') return [{ path, theirs: theirs.text, ours: ours.text }]
  const below = (name: string): string => (path === '' ? name : `${path}.${name}`)
  const found: JsonDifference[] = []
  for (const [name, value] of theirs.members) {
    const other = ours.members.get(name)
    if (other) found.push(...differencesOf(value, other, below(name)))
    else found.push({ path: below(name), theirs: value.text, ours: undefined })
  }
  for (const [name, value] of ours.members) {
    if (!theirs.members.has(name)) found.push({ path: below(name), theirs: undefined, ours: value.text })
  }
  const order = (of: ExactObject, other: ExactObject): string => {
    return [...of.members.keys()].filter((name) => other.members.has(name)).join(', ')
  }
  const [theirOrder, ourOrder] = [order(theirs, ours), order(ours, theirs)]
  if (theirOrder !== ourOrder) found.push({ path: below('(order)'), theirs: theirOrder, ours: ourOrder })
  return found
}
