/**
 * What is fuzzed: a name, inputs as bytes, and a promise about each of them. A target knows nothing of runs: `runTarget` gives it
 * its corpus first, then new inputs, and shrinks the one that breaks the promise.
 */
import type fc from 'fast-check'

import { TrackOpsError } from '../../src/runtime/errors.ts'
import type { TestScope } from '../support/defer.ts'

export interface FuzzTarget {
  /** Also the name of its folder below `corpus`. */
  readonly name: string
  /** Servers, recordings, whatever is made once. */
  open(scope: TestScope): Promise<OpenTarget> | OpenTarget
}

export interface OpenTarget {
  readonly inputs: fc.Arbitrary<Buffer>
  /** @throws unless the promise holds */
  readonly check: (input: Buffer) => Promise<void> | void
  /** An input that takes longer is stuck. Default 20 s. */
  readonly hangMs?: number
}

/** Runs what may refuse its input, but only by name. @throws anything that is no TrackOpsError of one of these codes */
export async function refusesOnlyWith<T>(
  codes: readonly TrackOpsError['code'][],
  work: () => Promise<T> | T,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof TrackOpsError && codes.includes(error.code)) return undefined
    throw error
  }
}

/** The same without a promise, for millions of inputs. */
export function refusesOnly<T>(codes: readonly TrackOpsError['code'][], work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof TrackOpsError && codes.includes(error.code)) return undefined
    throw error
  }
}
