import type { Lsn } from '../change/lsn.ts'
import type { CompiledView } from './compiled-view.ts'

/**
 * What the changes of one call mean for one key. One operation stands for all changes of its key: `lsn` is the GREATEST of theirs,
 * the action and `xids.at(-1)` are those of the last. (Greatest, because a heap insert's WAL record precedes its wait in a unique
 * index: where a key is deleted and inserted again, the insert may have the lower LSN although it commits later.)
 */
export interface KeyOperation {
  readonly view: CompiledView
  /** With the prefix. */
  readonly key: string
  readonly lsn: Lsn
  /** Where the last of the changes stands, in the form of `formatPosition` or any that sorts; without the history. */
  readonly position: string
  /** Every transaction that touched the key, 64 bits, in order of commit. Empty only for `prewarm`. */
  readonly xids: readonly bigint[]
  readonly action: KeyAction
}

export type KeyAction =
  /** The row's document, a JSON object's text: created or replaced as the view's policy has it. */
  | { readonly kind: 'value'; readonly document: string }
  /** The row has no entry (any more). */
  | { readonly kind: 'gone' }
  /** What was there goes; with `refill`, the policy `all`, or `cached` where something was there, asks for a fill. */
  | { readonly kind: 'invalidate'; readonly refill: boolean }
  /** No change: fill the key if nothing is there. */
  | { readonly kind: 'prewarm' }
  | { readonly kind: 'members'; readonly members: readonly MemberOperation[] }

export interface MemberOperation {
  /** As `memberField` writes it. */
  readonly field: string
  readonly lsn: Lsn
  readonly xids: readonly bigint[]
  /** null: not a member (any more). */
  readonly document: string | null
}
