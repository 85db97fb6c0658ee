/** Random walks through a model, taken on the real thing at the same time. */
import { type Machine, type Step, formatRun, successors } from './explore.ts'
import type { Replay } from './replay.ts'

export interface WalkOptions {
  readonly seed: number
}

/** TRACKOPS_WALKS more walks, from TRACKOPS_WALK_SEED on: a failure says its seed. */
const WALKS = Number(process.env['TRACKOPS_WALKS'] ?? 300)
export const FIRST_SEED = Number(process.env['TRACKOPS_WALK_SEED'] ?? 1)
const STEPS = 60

/** How many walks each of a file's kinds takes. */
export function walksOf(kinds: number): number {
  return Math.ceil(WALKS / kinds)
}

/** What was found, in words with the run that led there; null if nothing. */
export async function walk<State>(
  machine: Machine<State>,
  replay: Replay<State>,
  { seed }: WalkOptions,
): Promise<string | null> {
  const random = randomFrom(seed)
  const run: Step[] = []
  const found = (what: string): string => `seed ${seed}: ${what}\n  after: ${formatRun(run)}`
  let state = machine.start
  for (let count = 0; count < STEPS; count++) {
    const possible = successors(machine, state)
    const chosen = choose(possible, random)
    if (!chosen) break
    run.push(chosen.step)
    state = chosen.next
    const outcome = await replay.take(chosen.step)
    if (replay.broken[0] !== undefined) return found(replay.broken[0])
    if (outcome === 'refused') return found('the real system refuses a step that the model takes')
    const differences = await replay.differences(state)
    if (differences.length > 0) return found(differences.join('; '))
  }
  await replay.rest()
  return replay.broken[0] === undefined ? null : found(`${replay.broken[0]} (at rest)`)
}

/** First a kind of step, then one of that kind: otherwise readers' many choices would crowd out the rest. */
function choose<Choice extends { readonly step: Step }>(
  possible: readonly Choice[],
  random: () => number,
): Choice | undefined {
  const kinds = [...new Set(possible.map(({ step }) => step.kind))]
  const kind = kinds[Math.floor(random() * kinds.length)]
  const ofKind = possible.filter(({ step }) => step.kind === kind)
  return ofKind[Math.floor(random() * ofKind.length)]
}

/** mulberry32: small, and the same everywhere. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export function shuffled(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_none, index) => index)
  for (let index = count - 1; index > 0; index--) {
    const other = Math.floor(random() * (index + 1))
    const [a, b] = [order[index] ?? 0, order[other] ?? 0]
    order[index] = b
    order[other] = a
  }
  return order
}
