import { jsonString, jsonStringInText } from '../json-text.ts'
import { placeholderBytes, typeEncoder, type TypeEncoder, type TypeOptions } from './type-encoder.ts'

/** Pairs keep PostgreSQL's order; Debezium's is that of a Java hash map, which nobody can rely on. */
export function hstoreEncoder(options: TypeOptions): TypeEncoder {
  const placeholder = placeholderBytes(options).toString('utf8')
  const write = options.hstoreHandlingMode === 'map' ? objectOf : documentOf
  return typeEncoder({
    encode: (text) => write(parseHstore(text)),
    fallback: write([]),
    unavailable: write([[placeholder, placeholder]]),
  })
}

type Pairs = readonly (readonly [string, string | null])[]

function objectOf(pairs: Pairs): string {
  return `{${pairs.map(([key, value]) => `${jsonString(key)}:${value === null ? 'null' : jsonString(value)}`).join(',')}}`
}

function documentOf(pairs: Pairs): string {
  const members = pairs.map(([key, value]) => {
    return `${jsonStringInText(key)}:${value === null ? 'null' : jsonStringInText(value)}`
  })
  return jsonString(`{${members.join(',')}}`)
}

const PAIR = /"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)(?:, )?/gsy

/** hstore's output form, in which all but NULL is quoted: `"a"=>"1", "b"=>NULL`. */
function parseHstore(text: string): Pairs {
  const unescape = (part: string): string => part.replaceAll(/\\(.)/gs, '$1')
  const pairs: (readonly [string, string | null])[] = []
  PAIR.lastIndex = 0
  while (PAIR.lastIndex < text.length) {
    const match = PAIR.exec(text)
    if (!match) throw new SyntaxError('not the text form of an hstore')
    pairs.push([unescape(match[1] ?? ''), match[2] === undefined ? null : unescape(match[2])])
  }
  return pairs
}
