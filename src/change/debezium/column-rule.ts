import { createHash } from 'node:crypto'

import { matchesAny, parseExpressions } from './name-filter.ts'
import { badValue } from './property.ts'

/**
 * `column.mask.with.N.chars`, `column.mask.hash[.v2].ALGORITHM.with.salt.SALT`, `column.truncate.to.N.chars`: what they
 * do to the characters of the columns that match. They touch character columns alone, as in Debezium.
 */
export interface ColumnRule {
  readonly columns: readonly RegExp[]
  /** `length`: the column's declared length, or null. null in, null out, but for the mask: it hides NULL too. */
  readonly apply: (text: string | null, length: number | null) => string | null
}

const MASK = /^column\.mask\.with\.(\d{1,6})\.chars$/
const HASH = /^column\.mask\.hash\.(v2\.)?([^.]+)\.with\.salt\.(.+)$/
const TRUNCATE = /^column\.truncate\.to\.(\d{1,9})\.chars$/

export const COLUMN_RULE_NAMES = [
  'column.mask.with.N.chars',
  'column.mask.hash.ALGORITHM.with.salt.SALT',
  'column.mask.hash.v2.ALGORITHM.with.salt.SALT',
  'column.truncate.to.N.chars',
]

/** undefined: the property is none of these. @throws TrackOpsError USAGE */
export function parseColumnRule(name: string, value: string): ColumnRule | undefined {
  const apply = parseRuleName(name)
  if (!apply) return undefined
  try {
    return { columns: parseExpressions(value), apply }
  } catch {
    throw badValue(name, 'regular expressions with commas between them')
  }
}

function parseRuleName(name: string): ColumnRule['apply'] | undefined {
  const mask = MASK.exec(name)
  if (mask) {
    const asterisks = '*'.repeat(Number(mask[1]))
    return () => asterisks
  }
  const truncate = TRUNCATE.exec(name)
  if (truncate) {
    const length = Number(truncate[1])
    return (text) => text?.slice(0, length) ?? null
  }
  const hash = HASH.exec(name)
  return hash ? hashWith(name, hash[2] ?? '', hash[3] ?? '', hash[1] !== undefined) : undefined
}

function hashWith(name: string, algorithm: string, salt: string, isVersion2: boolean): ColumnRule['apply'] {
  const nodeName = algorithm.toLowerCase().replace('sha-', 'sha')
  try {
    createHash(nodeName)
  } catch {
    throw badValue(name, 'a digest algorithm such as SHA-256')
  }
  return (text, length) => {
    if (text === null) return null
    const bytes = isVersion2 ? Buffer.from(text) : javaSerialized(text)
    const digest = createHash(nodeName).update(salt).update(bytes).digest('hex')
    return length === null ? digest : digest.slice(0, length)
  }
}

/** Version 1 hashes the Java serialisation of the string: a header, its length, its modified UTF-8. */
function javaSerialized(text: string): Buffer {
  const body = modifiedUtf8(text)
  const isLong = body.length > 0xffff
  const header = Buffer.alloc(isLong ? 13 : 7)
  header.writeUInt32BE(0xaced_0005, 0)
  header.writeUInt8(isLong ? 0x7c : 0x74, 4)
  if (isLong) header.writeBigUInt64BE(BigInt(body.length), 5)
  else header.writeUInt16BE(body.length, 5)
  return Buffer.concat([header, body])
}

/** Each half of a surrogate pair has three bytes of its own. */
function modifiedUtf8(text: string): Buffer {
  if (!/[\ud800-\udfff]/.test(text)) return Buffer.from(text)
  const parts: Buffer[] = []
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    const isSurrogate = unit >= 0xd800 && unit <= 0xdfff
    parts.push(
      isSurrogate
        ? Buffer.from([0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f)])
        : Buffer.from(text.charAt(at)),
    )
  }
  return Buffer.concat(parts)
}

export function rulesFor(rules: readonly ColumnRule[], column: string): readonly ColumnRule[] {
  return rules.filter((rule) => matchesAny(rule.columns, column))
}
