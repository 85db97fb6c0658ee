import type { Lsn } from '../change/lsn.ts'
import type { ReplicaIdentity } from '../change/relation.ts'

/**
 * The messages of pgoutput, protocol version 1.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
export type PgoutputMessage =
  | BeginMessage
  | CommitMessage
  | { readonly type: 'origin'; readonly name: string; readonly lsn: Lsn }
  | RelationMessage
  | { readonly type: 'type'; readonly oid: number }
  | { readonly type: 'insert'; readonly relationOid: number; readonly newTuple: Tuple; readonly bytes: number }
  | UpdateMessage
  | { readonly type: 'delete'; readonly relationOid: number; readonly oldTuple: OldTuple; readonly bytes: number }
  | { readonly type: 'truncate'; readonly relationOids: readonly number[] }
  | LogicalDecodingMessage

export interface BeginMessage {
  readonly type: 'begin'
  readonly commitLsn: Lsn
  readonly commitTimeMicros: bigint
  readonly xid: number
}

export interface CommitMessage {
  readonly type: 'commit'
  readonly commitLsn: Lsn
  readonly endLsn: Lsn
}

export interface RelationMessage {
  readonly type: 'relation'
  readonly oid: number
  readonly schema: string
  readonly table: string
  readonly replicaIdentity: ReplicaIdentity
  readonly columns: readonly RelationColumn[]
}

export interface RelationColumn {
  readonly name: string
  readonly typeOid: number
  readonly typeModifier: number
  readonly isIdentity: boolean
}

export interface UpdateMessage {
  readonly type: 'update'
  readonly relationOid: number
  readonly oldTuple: OldTuple | null
  readonly newTuple: Tuple
  /** Of the whole message: what it costs to hold. */
  readonly bytes: number
}

export interface LogicalDecodingMessage {
  readonly type: 'message'
  readonly isTransactional: boolean
  readonly lsn: Lsn
  readonly prefix: string
  readonly content: Buffer
}

/** Text of each column; null for NULL, undefined for an unchanged TOAST value that was not sent. */
export type Tuple = readonly (string | null | undefined)[]

/** `identity`: only the identity columns mean something, the others are sent as NULL. `full`: all of the old row. */
export interface OldTuple {
  readonly kind: 'identity' | 'full'
  readonly tuple: Tuple
}
