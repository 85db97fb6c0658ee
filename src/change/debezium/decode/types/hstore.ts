import { isObject, type Json } from '../json-value.ts'
import { misfit, typeDecoder, type TypeDecoder } from './type-decoder.ts'

/** A document in a string, or an object: each says by itself which it is. */
export function hstoreDecoder(): TypeDecoder {
  return typeDecoder((json) => {
    const pairs: unknown = typeof json === 'string' ? JSON.parse(json) : json
    if (!isObject(pairs)) return misfit('an hstore')
    return Object.entries(pairs)
      .map(([key, value]) => ({ key, bytes: Buffer.from(key), value: valueText(value) }))
      .toSorted((a, b) => a.bytes.length - b.bytes.length || a.bytes.compare(b.bytes))
      .map(({ key, value }) => `${quoted(key)}=>${value}`)
      .join(', ')
  })
}

/** Java's hash map has lost the order of the pairs; hstore's own is by length, then by bytes. */
function valueText(value: Json | undefined): string {
  if (value === null) return 'NULL'
  return typeof value === 'string' ? quoted(value) : misfit('an hstore')
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`
}
