import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import fc from 'fast-check'

import type { TestScope } from '../support/defer.ts'
import type { FuzzTarget } from './fuzz-target.ts'

const CORPUS = join(import.meta.dirname, 'corpus')
const HANG_MS = 20_000
/** New inputs and shrinking together: a machine that is busy tries less, and says so to nobody. */
const SHORT_RUN_MS = 60_000

export interface RunOptions {
  readonly seed: number
  /** New inputs; or for how long. */
  readonly runs?: number
  readonly seconds?: number
  /** The input that broke a promise is put into the corpus, so that it is tried for ever. */
  readonly keepsFound?: boolean
}

export interface RunResult {
  readonly corpus: number
  readonly inputs: number
}

/** The corpus, then new inputs. @throws Error with the seed, the input and what went wrong, shrunk */
export async function runTarget(scope: TestScope, target: FuzzTarget, options: RunOptions): Promise<RunResult> {
  const open = await target.open(scope)
  const check = async (input: Buffer): Promise<void> => await inTime(open.check(input), open.hangMs ?? HANG_MS)
  const corpus = corpusOf(target.name)
  for (const { file, input } of corpus) {
    try {
      await check(input)
    } catch (error) {
      throw new Error(`${target.name}: corpus/${target.name}/${file} fails`, { cause: error })
    }
  }
  let inputs = 0
  const property = fc.asyncProperty(open.inputs, async (input) => {
    inputs += 1
    await check(input)
  })
  const { seed } = options
  const details = await fc.check(property, {
    seed,
    ...(options.seconds === undefined
      ? { numRuns: options.runs ?? 200, interruptAfterTimeLimit: SHORT_RUN_MS }
      : { numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: options.seconds * 1000 }),
  })
  if (!details.failed) return { corpus: corpus.length, inputs }
  const [found] = details.counterexample ?? [Buffer.alloc(0)]
  const name = `found-${createHash('sha256').update(found).digest('hex').slice(0, 8)}`
  if (options.keepsFound) {
    mkdirSync(join(CORPUS, target.name), { recursive: true })
    writeFileSync(join(CORPUS, target.name, name), found)
  }
  throw new Error(
    `${target.name}: a promise is broken by an input of ${found.length} bytes, after ${details.numRuns} inputs and ${details.numShrinks} shrinks.\n` +
      `again: npm run fuzz -- --seed ${seed} ${target.name}\n` +
      `input (base64, for test/fuzz/corpus/${target.name}/${name}): ${found.toString('base64').slice(0, 4000)}`,
    { cause: details.errorInstance },
  )
}

export function corpusOf(name: string): readonly { readonly file: string; readonly input: Buffer }[] {
  const directory = join(CORPUS, name)
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .toSorted()
    .map((file) => ({ file, input: readFileSync(join(directory, file)) }))
}

/** The seed is fixed, so that a red run is red again; `TRACKOPS_FUZZ_SEED=rotate` draws another, a number is taken as it is. */
export function seedOf(text: string | undefined): number {
  if (text === 'rotate') return Math.floor(Math.random() * 2 ** 31)
  const seed = Number(text || 20_261_126)
  if (!Number.isInteger(seed)) throw new Error(`a seed is a whole number, or rotate; not ${JSON.stringify(text)}`)
  return seed
}

async function inTime(work: Promise<void> | void, hangMs: number): Promise<void> {
  if (!(work instanceof Promise)) return
  let timer: NodeJS.Timeout | undefined
  const stuck = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came of the input within ${hangMs} ms`)), hangMs)
  })
  try {
    await Promise.race([work, stuck])
  } finally {
    clearTimeout(timer)
  }
}
