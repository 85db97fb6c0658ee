import type { Json } from '../json-value.ts'
import { misfit, typeDecoder, type TypeDecoder } from './type-decoder.ts'

/** `array_out` quotes these, the empty text, and what would read as NULL. */
const NEEDS_QUOTES = { ',': /[ \t-\r"\\{},]|^$|^null$/i, ';': /[ \t-\r"\\{};]|^$|^null$/i } as const
/** How Debezium writes the inner arrays of more than one dimension, if not as null: Java's name of an object. */
const JAVA_OBJECT = /^\[+L?[\w.]+;?@[0-9a-f]+$/

export interface ArrayForm {
  /** `;` for the one type `box`, whose texts have commas. */
  readonly delimiter: ',' | ';'
  /** Of vectors: an array within is an element, no further dimension. */
  readonly hasArraysAsElements: boolean
}

export function arrayDecoder(element: TypeDecoder, { delimiter, hasArraysAsElements }: ArrayForm): TypeDecoder {
  const needsQuotes = NEEDS_QUOTES[delimiter]
  const write = (parts: readonly Json[]): string | undefined => {
    let text = ''
    for (const part of parts) {
      const isNested = !hasArraysAsElements && Array.isArray(part)
      const written = part === null ? 'NULL' : isNested ? write(part as readonly Json[]) : leaf(part)
      if (written === undefined) return undefined
      text += text === '' ? written : delimiter + written
    }
    return `{${text}}`
  }
  const leaf = (json: Exclude<Json, null>): string | undefined => {
    const text = element.decode(json)
    return text !== undefined && needsQuotes.test(text) ? `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"` : text
  }
  return typeDecoder((json) => {
    if (!Array.isArray(json)) return misfit('an array')
    const parts = json as readonly Json[]
    return isPerhapsNested(parts) ? undefined : write(parts)
  }, element.needsExactIntegers)
}

/** `[null,null]` may be two NULLs, or two rows of a matrix. */
function isPerhapsNested(parts: readonly Json[]): boolean {
  return (
    parts.length > 0 && parts.every((part) => part === null || (typeof part === 'string' && JAVA_OBJECT.test(part)))
  )
}
