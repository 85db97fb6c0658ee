/**
 * Breadth-first exploration of a state machine: every reachable state once, and for each broken property the shortest
 * run that breaks it. States are packed into a few 32-bit words and kept in typed arrays, so that millions fit and take
 * seconds; only the frontier is held as objects.
 */
export interface Step {
  readonly kind: string
  /** Transaction, token or slot that the step is about; 0 where there is none. Up to 15. */
  readonly of: number
  /** A second parameter, 0 where there is none. Up to 15. */
  readonly and: number
}

export interface Machine<State> {
  readonly start: State
  /** How many words `pack` fills. */
  readonly words: number
  /** Two states with the same words have the same future. */
  readonly pack: (state: State, words: Uint32Array) => void
  /** Calls `emit` for each step that can be taken, with a state that nobody else holds. */
  readonly steps: (state: State, emit: Emit<State>) => void
  /** The properties that this state breaks; the same array each time where there is none. */
  readonly broken: (state: State) => readonly string[]
}

export type Emit<State> = (kind: string, of: number, and: number, next: State) => void

export interface Exploration {
  readonly states: number
  /** Property to the shortest run that breaks it. */
  readonly broken: ReadonlyMap<string, readonly Step[]>
}

/** @throws RangeError beyond `maxStates`: the options ask for more than a test may take */
export function explore<State>(machine: Machine<State>, maxStates = 8_000_000): Exploration {
  const seen = createWordSet(machine.words)
  const kinds: string[] = []
  const kindNumbers = new Map<string, number>()
  const parents: number[] = [-1]
  const codes: number[] = [0]
  const broken = new Map<string, readonly Step[]>()
  const words = new Uint32Array(machine.words)

  function runTo(state: number): readonly Step[] {
    const steps: Step[] = []
    for (let at = state; at > 0; at = parents[at] ?? 0) steps.push(decode(codes[at] ?? 0))
    return steps.reverse()
  }

  function decode(code: number): Step {
    return { kind: kinds[code >> 8] ?? '', of: (code >> 4) & 15, and: code & 15 }
  }

  function codeOf(kind: string, of: number, and: number): number {
    let number = kindNumbers.get(kind)
    if (number === undefined) {
      number = kinds.push(kind) - 1
      kindNumbers.set(kind, number)
    }
    return (number << 8) | (of << 4) | and
  }

  machine.pack(machine.start, words)
  seen.add(words)
  let frontier: State[] = [machine.start]
  let first = 0
  while (frontier.length > 0) {
    const next: State[] = []
    const nextFirst = seen.size()
    for (const [index, state] of frontier.entries()) {
      const number = first + index
      for (const property of machine.broken(state)) {
        if (!broken.has(property)) broken.set(property, runTo(number))
      }
      machine.steps(state, (kind, of, and, target) => {
        machine.pack(target, words)
        if (!seen.add(words)) return
        parents.push(number)
        codes.push(codeOf(kind, of, and))
        next.push(target)
      })
      if (seen.size() > maxStates) throw new RangeError(`more than ${maxStates} states`)
    }
    frontier = next
    first = nextFirst
  }
  return { states: seen.size(), broken }
}

/** The steps that can be taken, as objects: for replays and walks, where speed does not matter. */
export function successors<State>(machine: Machine<State>, state: State): { step: Step; next: State }[] {
  const all: { step: Step; next: State }[] = []
  machine.steps(state, (kind, of, and, next) => all.push({ step: { kind, of, and }, next }))
  return all
}

/** Follows a run. undefined if one of its steps cannot be taken: then it is no run of this machine. */
export function follow<State>(machine: Machine<State>, run: readonly Step[]): State | undefined {
  let state = machine.start
  for (const step of run) {
    const found = successors(machine, state).find(
      (each) => each.step.kind === step.kind && each.step.of === step.of && each.step.and === step.and,
    )
    if (!found) return undefined
    state = found.next
  }
  return state
}

export function formatRun(run: readonly Step[]): string {
  return run.map(formatStep).join(' ')
}

export function formatStep(step: Step): string {
  if (step.and > 0) return `${step.kind}(${step.of},${step.and})`
  return step.of > 0 ? `${step.kind}(${step.of})` : step.kind
}

/** A set of vectors of `width` words: open addressing, grows by doubling. */
function createWordSet(width: number) {
  let capacity = 1 << 16
  let slots = new Int32Array(capacity)
  let store = new Uint32Array((capacity >> 1) * width)
  let size = 0

  function hash(words: Uint32Array, from: number): number {
    let h = 0x9e3779b9
    for (let i = 0; i < width; i++) {
      h = Math.imul(h ^ (words[from + i] ?? 0), 0x85ebca6b)
      h ^= h >>> 15
    }
    return Math.imul(h, 0xc2b2ae35) >>> 0
  }

  function grow(): void {
    capacity *= 2
    slots = new Int32Array(capacity)
    const wider = new Uint32Array((capacity >> 1) * width)
    wider.set(store)
    store = wider
    for (let i = 0; i < size; i++) {
      let slot = hash(store, i * width) & (capacity - 1)
      while (slots[slot] !== 0) slot = (slot + 1) & (capacity - 1)
      slots[slot] = i + 1
    }
  }

  function add(words: Uint32Array): boolean {
    let slot = hash(words, 0) & (capacity - 1)
    for (;;) {
      const held = slots[slot] ?? 0
      if (held === 0) break
      const base = (held - 1) * width
      let same = true
      for (let i = 0; i < width && same; i++) same = store[base + i] === words[i]
      if (same) return false
      slot = (slot + 1) & (capacity - 1)
    }
    store.set(words, size * width)
    size++
    slots[slot] = size
    if (size * 2 >= capacity) grow()
    return true
  }

  return { add, size: () => size }
}
