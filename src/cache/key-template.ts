import { TrackOpsError } from '../runtime/errors.ts'
import type { KeyParameters } from './view.ts'

/**
 * `order:entity:{id}` and back. Values are percent-encoded where they hold `%`, a brace, or one of the template's separators
 * (what stands after a parameter, and the last character before the first one), so a key has one reading.
 */
export interface KeyTemplate {
  readonly text: string
  readonly parameters: readonly string[]
  /** The key of these texts, one for each of `parameters`; the prefix included. */
  format(texts: readonly string[]): string
  /** undefined if the key is not of this template. */
  parse(key: string): KeyParameters | undefined
  /** For SCAN ... MATCH: every key of the template, and maybe others; check with `parse`. */
  readonly glob: string
  /** @internal for `areAmbiguous` */
  readonly tokens: readonly Token[]
}

type Token = { readonly character: string } | { readonly anythingBut: ReadonlySet<string> }

const isSeparator = (character: string): boolean => !/[A-Za-z0-9%]/.test(character)

/** @throws TrackOpsError CONFIG_INVALID */
export function createKeyTemplate(text: string, prefix = ''): KeyTemplate {
  const refuse = (why: string): never => {
    throw new TrackOpsError('CONFIG_INVALID', `key template ${JSON.stringify(text)}: ${why}`)
  }
  const pieces = text.split(/\{([^{}]*)\}/)
  const literals = pieces.filter((_, index) => index % 2 === 0)
  const parameters = pieces.filter((_, index) => index % 2 === 1)
  if (parameters.length === 0) refuse('it names no parameter, as in order:entity:{id}')
  if (new Set(parameters).size !== parameters.length) refuse('a parameter is named twice')
  if (parameters.some((name) => name === '')) refuse('a parameter has no name')
  if (literals.some((literal) => /[{}%]/.test(literal)) || /[{}%]/.test(prefix))
    refuse('the only braces are those of parameters, and % is reserved')
  if (literals[0] === '') refuse('it has to begin with a name, not with a parameter')
  const between = literals.slice(1, -1)
  if (between.some((literal) => !Array.from(literal).some(isSeparator)))
    refuse('two parameters need a separator such as : between them')

  const first = prefix + (literals[0] ?? '')
  const separators = new Set(Array.from(literals.slice(1).join('') + (first.at(-1) ?? '')).filter(isSeparator))
  const reserved = new Set([...separators, '%', '{', '}'])

  // Most keys are numbers and UUIDs: nothing to encode, and a key is made for every change of every view.
  const plain = reserved.has('-') ? /^[A-Za-z0-9]*$/ : /^[A-Za-z0-9-]*$/
  const encode = (value: string): string => {
    if (plain.test(value)) return value
    let encoded = ''
    for (const character of value) encoded += reserved.has(character) ? percentEncode(character) : character
    return encoded
  }

  const forbidden = [...separators, '{', '}']
    .map((character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
    .join('')
  const pattern = new RegExp(
    `^${literalPattern(first)}${literals
      .slice(1)
      .map((literal) => `([^${forbidden}]*)${literalPattern(literal)}`)
      .join('')}$`,
    'su',
  )
  const rest = literals.slice(1)

  return {
    text,
    parameters,
    format(texts) {
      let key = first
      for (let index = 0; index < rest.length; index++) key += encode(texts[index] ?? '') + (rest[index] ?? '')
      return key
    },
    parse(key) {
      const match = pattern.exec(key)
      if (!match) return undefined
      const values: Record<string, string> = {}
      try {
        for (const [index, name] of parameters.entries()) values[name] = decodeURIComponent(match[index + 1] ?? '')
      } catch {
        return undefined
      }
      return values
    },
    glob: globEscape(first) + rest.map((literal) => `*${globEscape(literal)}`).join(''),
    tokens: [
      ...Array.from(first, (character) => ({ character })),
      ...rest.flatMap((literal) => [
        { anythingBut: new Set([...separators, '{', '}']) },
        ...Array.from(literal, (character) => ({ character })),
      ]),
    ],
  }
}

/** Whether some key could be read as either. A walk through both templates at once. */
export function areAmbiguous(a: Pick<KeyTemplate, 'tokens'>, b: Pick<KeyTemplate, 'tokens'>): boolean {
  const seen = new Set<string>()
  const walk = (i: number, j: number): boolean => {
    const place = `${i},${j}`
    if (seen.has(place)) return false
    seen.add(place)
    const x = a.tokens[i]
    const y = b.tokens[j]
    if (!x && !y) return true
    if (
      x &&
      'anythingBut' in x &&
      (walk(i + 1, j) || (y && 'character' in y && !x.anythingBut.has(y.character) && walk(i, j + 1)))
    )
      return true
    if (
      y &&
      'anythingBut' in y &&
      (walk(i, j + 1) || (x && 'character' in x && !y.anythingBut.has(x.character) && walk(i + 1, j)))
    )
      return true
    return (
      x !== undefined &&
      y !== undefined &&
      'character' in x &&
      'character' in y &&
      x.character === y.character &&
      walk(i + 1, j + 1)
    )
  }
  return walk(0, 0)
}

/** Every key that begins so: TrackOps's own. */
export function reservedTemplate(prefix: string): Pick<KeyTemplate, 'tokens'> {
  return { tokens: [...Array.from(prefix, (character) => ({ character })), { anythingBut: new Set<string>() }] }
}

const CANONICAL_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const CANONICAL_INTEGER = /^(?:0|-?[1-9]\d{0,14})$/

/**
 * The text that PostgreSQL itself would give for this value, as far as that can be said without asking it: what a request
 * brings (an upper-case UUID) has to name the key that a change event names.
 */
export function canonicalText(typeName: string | undefined, text: string): string {
  switch (typeName) {
    case 'uuid': {
      // What the change stream brings is so already; a regular expression is all that it should cost.
      if (CANONICAL_UUID.test(text)) return text
      const digits = text.trim().toLowerCase().replaceAll(/[-{}]/g, '')
      if (!/^[0-9a-f]{32}$/.test(digits)) return text
      return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    }
    case 'int2':
    case 'int4':
    case 'int8':
    case 'oid':
      if (CANONICAL_INTEGER.test(text)) return text
      return /^\s*[+-]?\d+\s*$/.test(text) ? String(BigInt(text.trim().replace(/^\+/, ''))) : text
    case 'bool':
      return /^(true|t)$/i.test(text) ? 't' : /^(false|f)$/i.test(text) ? 'f' : text
    case 'bpchar':
      return text.replace(/ +$/, '')
    default:
      return text
  }
}

/** A list's fields that begin with `_` are metadata, so a member whose id begins so is encoded. */
export function memberField(id: string): string {
  return id.includes('%') || id.startsWith('_') ? id.replaceAll('%', '%25').replace(/^_/, '%5F') : id
}

function percentEncode(character: string): string {
  return [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}

function literalPattern(literal: string): string {
  return Array.from(literal, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`).join('')
}

function globEscape(literal: string): string {
  return literal.replaceAll(/[\\*?[\]^-]/g, '\\$&')
}
