/** The newest of what was known, by when it was known: "what had completed before this began" is a question that every rule asks. */
export interface Floor<R> {
  /** In the order of `knownUs`. What is not newer than before changes nothing. */
  raise(value: number, knownUs: number, cause: R): void
  /** The newest that was known before that; undefined: nothing was. */
  before(us: number): { readonly value: number; readonly cause: R } | undefined
}

/** Questions are about the last seconds. What is older than the kept steps is forgotten: then a violation may be missed, none is invented. */
const MAX_STEPS = 128

export function createFloor<R>(): Floor<R> {
  const steps: { readonly value: number; readonly knownUs: number; readonly cause: R }[] = []
  return {
    raise(value, knownUs, cause) {
      const last = steps.at(-1)
      if (last && value <= last.value) return
      steps.push({ value, knownUs, cause })
      if (steps.length > MAX_STEPS) steps.shift()
    },
    before: (us) => steps.findLast(({ knownUs }) => knownUs < us),
  }
}
