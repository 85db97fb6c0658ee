/** bench/baseline.json: the ratios of a run that was found good. Small runs have others than large ones, so each size has its own. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Baseline } from './regressions.ts'
import type { Size } from './result.ts'

export const BASELINE_FILE = 'bench/baseline.json'
const FILE = join(import.meta.dirname, '../baseline.json')

type Baselines = Readonly<Partial<Record<Size, Baseline>>>

/** undefined before one was saved. */
export function readBaseline(size: Size): Baseline | undefined {
  return readAll()[size]
}

/** @throws if a ratio is no number: nothing could ever be worse */
export function saveBaseline(size: Size, { measuredAt, ratios }: Baseline): void {
  const broken = Object.entries(ratios).find(([, ratio]) => !Number.isFinite(ratio))
  if (broken) throw new Error(`not saved: ${broken.join(' is ')}`)
  const rounded = Object.fromEntries(Object.entries(ratios).map(([name, ratio]) => [name, Number(ratio.toFixed(3))]))
  writeFileSync(FILE, `${JSON.stringify({ ...readAll(), [size]: { measuredAt, ratios: rounded } }, null, 2)}\n`)
}

function readAll(): Baselines {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Baselines) : {}
}
