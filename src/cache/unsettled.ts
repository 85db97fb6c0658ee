import type { Lsn } from '../change/lsn.ts'
import { maxLsn } from '../change/lsn.ts'
import type { CompiledView } from './compiled-view.ts'

/**
 * Answers that were given while Redis could not be told. Each owes a mark, for without it an older value could still be at its
 * key, or be put there, and be answered next (P2). They are paid before Redis is trusted again. There may be more than can be
 * remembered: then Redis is not trusted until marks would have run out anyway.
 */
export interface Unsettled {
  add(view: CompiledView, key: string, insertLsn: Lsn): void
  /** False: not yet. @throws what `settle` throws; what is not paid stays owed */
  pay(
    settle: (
      view: CompiledView,
      answered: readonly { readonly key: string; readonly insertLsn: Lsn }[],
    ) => Promise<void>,
  ): Promise<boolean>
}

const BATCH = 200

export function createUnsettled(options: {
  readonly maxKeys: number
  readonly markTtlMs: number
  readonly now: () => number
}): Unsettled {
  const owed = new Map<string, { readonly view: CompiledView; readonly key: string; readonly insertLsn: Lsn }>()
  let notBefore = 0

  return {
    add(view, key, insertLsn) {
      const known = owed.get(key)
      if (!known && owed.size >= options.maxKeys) {
        notBefore = options.now() + options.markTtlMs
        return
      }
      owed.set(key, { view, key, insertLsn: known ? maxLsn(known.insertLsn, insertLsn) : insertLsn })
    },
    async pay(settle) {
      while (owed.size > 0) {
        const [first] = owed.values()
        const batch = Array.from(owed.values())
          .filter(({ view }) => view === first?.view)
          .slice(0, BATCH)
        if (first) await settle(first.view, batch)
        for (const paid of batch) if (owed.get(paid.key) === paid) owed.delete(paid.key)
      }
      return options.now() >= notBefore
    },
  }
}
