import { isObject, type Json } from '../json-value.ts'
import { base64Bytes } from './bytes.ts'
import { float4Text, float8Text } from './float-text.ts'
import { floatOf } from './numeric.ts'
import { misfit, typeDecoder, type TypeDecoder } from './type-decoder.ts'

/** `(1,2.5)`. */
export function pointDecoder(): TypeDecoder {
  return typeDecoder((json) => {
    if (!isObject(json)) return misfit('a point')
    return `(${float8Text(floatOf(json['x']))},${float8Text(floatOf(json['y']))})`
  })
}

/** PostGIS: hexadecimal EWKB. */
export function postgisDecoder(): TypeDecoder {
  return typeDecoder((json) => {
    return isObject(json) ? base64Bytes(json['wkb']).toString('hex').toUpperCase() : misfit('a geometry')
  })
}

/** pgvector's vector and halfvec: `[1,2,3]`, written as real is. */
export function vectorDecoder(): TypeDecoder {
  return typeDecoder((json) => {
    if (!Array.isArray(json)) return misfit('a vector')
    return `[${(json as readonly Json[]).map((number) => float4Text(floatOf(number))).join(',')}]`
  })
}

/** pgvector's sparsevec: `{1:201,9:209}/3000`, in the order of the indexes. */
export function sparseVectorDecoder(): TypeDecoder {
  return typeDecoder((json) => {
    const { dimensions, vector } = isObject(json) ? json : misfit('a sparse vector')
    if (typeof dimensions !== 'number') return misfit('a sparse vector')
    const pairs = Array.isArray(vector) ? (vector as readonly Json[]) : misfit('a sparse vector')
    const elements = pairs
      .map((pair) => {
        const [index, value] = Array.isArray(pair) ? (pair as readonly Json[]) : misfit('a sparse vector')
        return { index: floatOf(index), value: floatOf(value) }
      })
      .toSorted((a, b) => a.index - b.index)
    return `{${elements.map(({ index, value }) => `${index}:${float4Text(value)}`).join(',')}}/${dimensions}`
  })
}
