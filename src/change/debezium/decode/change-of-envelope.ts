import type { ChangeEvent } from '../../change-event.ts'
import type { Position } from '../../position.ts'
import type { Relation } from '../../relation.ts'
import type { RowImage } from '../../row-image.ts'
import type { RowEnvelope } from './envelope.ts'
import { type JsonObject, parseExactly, payloadOf } from './json-value.ts'
import { malformed } from './malformed.ts'
import type { DebeziumModes } from './modes.ts'
import { createRowDecoder, type RowDecoder, type Trust } from './row-decoder.ts'

export interface ChangeDecoder {
  /**
   * The change that the record was made from, as far as it says: a column whose value the record does not have, or not
   * for certain, is undefined, and its row partial.
   *
   * @param relation as the catalog has it; the event's columns are found by name
   * @param position where the caller has put the event: Debezium's records do not name their commit
   * @throws TrackOpsError DECODE naming the column whose JSON is not of its type
   */
  changeOf(envelope: RowEnvelope, relation: Relation, position: Position): ChangeEvent
}

export function createChangeDecoder(modes: DebeziumModes): ChangeDecoder {
  const plain = new WeakMap<Relation, RowDecoder>()
  const bySchema = new WeakMap<Relation, Map<string, RowDecoder>>()
  /** Of the last record that needed it: both of its images do. */
  let exact: { readonly text: string; readonly value: JsonObject } | null = null

  function decoderOf(relation: Relation, { rowSchema }: RowEnvelope): RowDecoder {
    if (rowSchema === null) {
      const known = plain.get(relation)
      if (known) return known
      const decoder = createRowDecoder(relation, modes, null)
      plain.set(relation, decoder)
      return decoder
    }
    const known = bySchema.get(relation) ?? new Map<string, RowDecoder>()
    bySchema.set(relation, known)
    const decoder = known.get(rowSchema.signature) ?? createRowDecoder(relation, modes, rowSchema)
    known.set(rowSchema.signature, decoder)
    return decoder
  }

  function imageOf(envelope: RowEnvelope, relation: Relation, which: 'before' | 'after', trust: Trust): RowImage {
    const decoder = decoderOf(relation, envelope)
    const isSnapshot = envelope.op === 'r'
    const image =
      decoder.decode(envelope[which] ?? NO_FIELDS, trust, isSnapshot) ??
      decoder.decode(exactImage(envelope.text, which), trust, isSnapshot)
    if (!image) throw malformed('a number has more digits than an integer of PostgreSQL')
    return image
  }

  function exactImage(text: string, which: 'before' | 'after'): JsonObject {
    if (exact?.text !== text) exact = { text, value: payloadOf(parseExactly(text) as JsonObject) as JsonObject }
    return exact.value[which] as JsonObject
  }

  return {
    changeOf(envelope, relation, position) {
      const { op, lsn, xid, commitTimeMicros, previousCommitEndLsn, origin } = envelope
      const { commitLsn } = position
      const transaction = { xid, commitLsn, commitTimeMicros, previousCommitEndLsn, origin }
      const head = { position, lsn, transaction, relation }
      const isFull = relation.replicaIdentity === 'full'
      const ofOld: Trust = isFull ? 'all' : 'identity'
      switch (op) {
        case 'r': {
          const { snapshot } = envelope
          const marker = snapshot === 'incremental' || snapshot === 'false' ? 'true' : snapshot
          return { op, ...head, after: imageOf(envelope, relation, 'after', 'all'), marker }
        }
        case 'c': {
          // An update to PostgreSQL, without its old row.
          const trust = envelope.keyChange === 'arrives' ? 'all-but-unsure-nulls' : 'all'
          return { op, ...head, after: imageOf(envelope, relation, 'after', trust) }
        }
        case 'u': {
          const before = envelope.before && imageOf(envelope, relation, 'before', ofOld)
          // Without an old row the identity was not FULL then, whatever it is now.
          const trust = before && isFull ? 'all' : 'all-but-unsure-nulls'
          return { op, ...head, before, after: imageOf(envelope, relation, 'after', trust) }
        }
        case 'd':
          return { op, ...head, before: imageOf(envelope, relation, 'before', ofOld) }
        case 't':
          return { op, ...head }
      }
    },
  }
}

const NO_FIELDS: JsonObject = {}
