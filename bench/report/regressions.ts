/** Is anything worse than it was? Ratios against those of a run that was found good. */
import type { Ratios } from './ratios.ts'

export interface Baseline {
  readonly measuredAt: string
  readonly ratios: Ratios
}

/** The same code on a machine that was busy with other work: the drain's ratio was 4.6, 4.9 and 7.1 in three runs. Quiet ones are closer. */
export const FACTOR = 1.5

/** One line each; a ratio that is not a number is one, too. What was not measured this time is not. */
export function regressions(baseline: Baseline, ratios: Ratios, factor: number = FACTOR): readonly string[] {
  return Object.entries(baseline.ratios).flatMap(([name, was]) => {
    const is = ratios[name]
    if (is === undefined || is <= was * factor) return []
    return [`${name}: ${is.toFixed(2)}, was ${was.toFixed(2)}, may be ${(was * factor).toFixed(2)}`]
  })
}

/** Such as those of Kafka, where there is no Java. */
export function notMeasured(baseline: Baseline, ratios: Ratios): readonly string[] {
  return Object.keys(baseline.ratios).filter((name) => ratios[name] === undefined)
}
