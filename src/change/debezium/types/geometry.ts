import { javaDouble } from '../json-text.ts'
import { typeEncoder, type TypeEncoder } from './type-encoder.ts'

/** `(1,2.5)`, with its little-endian WKB. */
export function pointEncoder(): TypeEncoder {
  const encode = (text: string): string => {
    const comma = text.indexOf(',')
    const x = Number(text.slice(1, comma))
    const y = Number(text.slice(comma + 1, -1))
    const wkb = Buffer.alloc(21)
    wkb.writeUInt8(1, 0)
    wkb.writeUInt32LE(1, 1)
    wkb.writeDoubleLE(x, 5)
    wkb.writeDoubleLE(y, 13)
    return `{"x":${javaDouble(x)},"y":${javaDouble(y)},"wkb":"${wkb.toString('base64')}","srid":null}`
  }
  return typeEncoder({ encode, fallback: encode('(0,0)') })
}

const EWKB_HAS_SRID = 0x2000_0000
const EMPTY_COLLECTION = '010700000000000000'

/** PostGIS: the hexadecimal EWKB. The bytes go out unchanged, the SRID still inside. */
export function postgisEncoder(): TypeEncoder {
  const encode = (text: string): string => {
    const ewkb = Buffer.from(text, 'hex')
    if (ewkb.length < 5) return 'null'
    const isLittleEndian = ewkb[0] === 1
    const word = (at: number): number => (isLittleEndian ? ewkb.readUInt32LE(at) : ewkb.readUInt32BE(at))
    const srid = (word(1) & EWKB_HAS_SRID) !== 0 && ewkb.length >= 9 ? String(word(5) | 0) : 'null'
    return `{"wkb":"${ewkb.toString('base64')}","srid":${srid}}`
  }
  return typeEncoder({ encode, fallback: encode(EMPTY_COLLECTION) })
}

/** pgvector's vector and halfvec: `[1,2,3]`. */
export function vectorEncoder(isFloat32: boolean): TypeEncoder {
  const encode = (text: string): string => {
    if (text === '[]') return text
    const numbers = text.slice(1, -1).split(',')
    return `[${numbers.map((number) => javaDouble(Number(number), isFloat32)).join(',')}]`
  }
  return typeEncoder({ encode, fallback: '[]' })
}

/** pgvector's sparsevec: `{1:201,9:209}/3000`. A map whose keys are numbers is an array of pairs. */
export function sparseVectorEncoder(): TypeEncoder {
  const encode = (text: string): string => {
    const slash = text.lastIndexOf('/')
    const pairs = text.slice(1, slash - 1)
    const vector = pairs === '' ? [] : pairs.split(',').map(sparsePair)
    return `{"dimensions":${text.slice(slash + 1)},"vector":[${vector.join(',')}]}`
  }
  return typeEncoder({ encode, fallback: '{"dimensions":0,"vector":[]}' })
}

function sparsePair(pair: string): string {
  const colon = pair.indexOf(':')
  return `[${pair.slice(0, colon)},${javaDouble(Number(pair.slice(colon + 1)))}]`
}
