import type { DebeziumModes } from '../modes.ts'
import type { Json } from '../json-value.ts'
import { misfit } from './type-decoder.ts'

/** Strict: a text that is no base64 would else be read as some other bytes. */
export function base64Bytes(json: Json | undefined): Buffer {
  if (typeof json !== 'string') return misfit('bytes')
  const bytes = Buffer.from(json, 'base64')
  return bytes.toString('base64') === json ? bytes : misfit('bytes as base64')
}

/** The reverse of `bytesWriter`. */
export function bytesReader(modes: DebeziumModes): (json: Json) => Buffer {
  switch (modes.binaryHandlingMode) {
    case 'bytes':
    case 'base64':
      return base64Bytes
    case 'base64-url-safe':
      return (json) => {
        return base64Bytes(typeof json === 'string' ? json.replaceAll('-', '+').replaceAll('_', '/') : json)
      }
    case 'hex':
      return (json) => {
        return typeof json === 'string' && /^(?:[0-9a-f]{2})*$/i.test(json)
          ? Buffer.from(json, 'hex')
          : misfit('bytes as hex')
      }
  }
}
