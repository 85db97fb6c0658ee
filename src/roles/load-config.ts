import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import { type Static, type TSchema, Type } from 'typebox'
import { Value } from 'typebox/value'

import { TrackOpsError } from '../runtime/errors.ts'
import type { TrackOpsConfig } from './define-config.ts'

export interface LoadedConfig {
  readonly config: TrackOpsConfig
  /** Absolute. Relative paths in the configuration start here. */
  readonly directory: string
  readonly file: string
}

/** What a pattern means, for people; the place alone says which setting it is. */
const MEANINGS = {
  '^[a-z][a-z0-9-]*$': 'lower-case letters, digits and dashes, beginning with a letter',
  '^[^.]+\\.[^.]+$': 'schema and table, as in public.books',
  '\\{[^{}]+\\}': 'a template with at least one {column}, as in order:entity:{id}',
  '^[A-Z][A-Z0-9_]*$': 'the name of an environment variable, as in DATABASE_URL',
  '^[a-z][a-z0-9_]{0,62}$': 'lower-case letters, digits and underscores, beginning with a letter, 63 at most',
  '^[a-z0-9_]{1,63}$': 'lower-case letters, digits and underscores, 63 at most',
  '^[a-z_][a-z0-9_]{0,62}$': 'lower-case letters, digits and underscores, not beginning with a digit, 63 at most',
  '^[A-Za-z0-9_-]{1,100}$': 'letters, digits, underscores and dashes, 100 at most',
  '^[^{}*?\\[\\]\\\\]*$': 'none of { } * ? [ ] and the backslash',
} as const

const text = (pattern: keyof typeof MEANINGS) => Type.String({ pattern })

const Name = text('^[a-z][a-z0-9-]*$')
const Table = text('^[^.]+\\.[^.]+$')
const Columns = Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })
const Code = Type.Unknown()

const viewBase = {
  name: Name,
  key: text('\\{[^{}]+\\}'),
  ttlSeconds: Type.Integer({ minimum: 1, maximum: 365 * 86_400 }),
  warm: Type.Union([Type.Literal('all'), Type.Literal('cached'), Type.Literal('none')]),
  ttlJitterRatio: Type.Optional(Type.Number({ minimum: 0, maximum: 0.5 })),
  codeVersion: Type.Optional(Type.Integer({ minimum: 1 })),
}

const strict = { additionalProperties: false } as const

const VIEW_SCHEMAS = {
  row: Type.Object({ kind: Type.Literal('row'), ...viewBase, table: Table, columns: Columns, document: Code }, strict),
  list: Type.Object(
    { kind: Type.Literal('list'), ...viewBase, table: Table, columns: Columns, member: Type.String(), document: Code },
    strict,
  ),
  query: Type.Object(
    {
      kind: Type.Literal('query'),
      ...viewBase,
      sql: Type.String({ minLength: 1 }),
      document: Type.Optional(Code),
      dependsOn: Type.Array(Type.Object({ table: Table, columns: Columns, keys: Type.Optional(Code) }, strict), {
        minItems: 1,
      }),
    },
    strict,
  ),
} as const

const database = {
  urlVariable: text('^[A-Z][A-Z0-9_]*$'),
  embeddedName: text('^[a-z][a-z0-9_]{0,62}$'),
  migrations: Type.Optional(Type.String()),
}

const SCHEMA = Type.Object(
  {
    source: Type.Object(
      {
        ...database,
        slot: text('^[a-z0-9_]{1,63}$'),
        publication: text('^[a-z_][a-z0-9_]{0,62}$'),
        topicPrefix: Type.Optional(text('^[A-Za-z0-9_-]{1,100}$')),
      },
      strict,
    ),
    views: Type.Array(Type.Unknown(), { minItems: 1 }),
    events: Type.Optional(
      Type.Array(
        Type.Object({ topic: Name, table: Table, columns: Columns, derive: Code, enrich: Type.Optional(Code) }, strict),
      ),
    ),
    databases: Type.Optional(Type.Record(Type.String(), Type.Object(database, strict))),
    services: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Name,
            port: Type.Object(
              { variable: Type.String(), default: Type.Integer({ minimum: 1, maximum: 65_535 }) },
              strict,
            ),
            start: Code,
          },
          strict,
        ),
      ),
    ),
    load: Type.Optional(Code),
    seed: Type.Optional(Code),
    cache: Type.Optional(
      Type.Object(
        {
          keyPrefix: Type.Optional(text('^[^{}*?\\[\\]\\\\]*$')),
          consumers: Type.Optional(Type.Union([Type.Literal('together'), Type.Literal('apart')])),
        },
        strict,
      ),
    ),
  },
  strict,
)

/** What the schema proves; that functions are functions is checked beside it, JSON Schema knows none. */
type Shape = Static<typeof SCHEMA>

/** @throws TrackOpsError CONFIG_INVALID naming the file, the place and what is expected there */
export async function loadConfig(file: string): Promise<LoadedConfig> {
  const path = resolve(file)
  if (!existsSync(path)) throw invalid(path, 'there is no such file')
  let module: { default?: unknown }
  try {
    module = (await import(pathToFileURL(path).href)) as { default?: unknown }
  } catch (error) {
    throw invalid(
      path,
      `it cannot be loaded: ${error instanceof Error ? firstLine(error.message) : 'unknown reason'}`,
      error,
    )
  }
  if (module.default === undefined)
    throw invalid(path, 'it has no default export; write: export default defineConfig({...})')
  assertConfig(module.default, path)
  return { config: module.default, directory: dirname(path), file: path }
}

/** @throws TrackOpsError CONFIG_INVALID for the first thing that is wrong */
export function assertConfig(value: unknown, file: string): asserts value is TrackOpsConfig {
  const problem = firstProblem(SCHEMA, value, '')
  if (problem) throw invalid(file, problem)
  const shape = value as Shape
  for (const [index, view] of shape.views.entries()) assertView(view, `views[${index}]`, file)
  assertUnique(shape.views as readonly { readonly name: string }[], 'views', file)
  for (const [index, event] of (shape.events ?? []).entries()) {
    assertFunction(event.derive, `events[${index}].derive`, file)
    if (event.enrich !== undefined) assertFunction(event.enrich, `events[${index}].enrich`, file)
  }
  assertUnique(shape.services ?? [], 'services', file)
  for (const [index, service] of (shape.services ?? []).entries())
    assertFunction(service.start, `services[${index}].start`, file)
  if (shape.load !== undefined) assertFunction(shape.load, 'load', file)
  if (shape.seed !== undefined) assertFunction(shape.seed, 'seed', file)
  if (shape.databases && 'source' in shape.databases) {
    throw invalid(file, 'databases.source: this name means the source database; choose another')
  }
}

function assertView(view: unknown, place: string, file: string): void {
  const kind = (view as { kind?: unknown } | null)?.kind
  const schema = kind === 'row' || kind === 'list' || kind === 'query' ? VIEW_SCHEMAS[kind] : undefined
  if (!schema) throw invalid(file, `${place}: make it with rowView, listView or queryView`)
  const problem = firstProblem(schema, view, place)
  if (problem) throw invalid(file, problem)
  const { document, dependsOn } = view as { document?: unknown; dependsOn?: readonly { keys?: unknown }[] }
  if (kind !== 'query' || document !== undefined) assertFunction(document, `${place}.document`, file)
  for (const [index, dependency] of (dependsOn ?? []).entries()) {
    if (dependency.keys !== undefined) assertFunction(dependency.keys, `${place}.dependsOn[${index}].keys`, file)
  }
}

function assertFunction(value: unknown, place: string, file: string): void {
  if (typeof value !== 'function') throw invalid(file, `${place} is not a function`)
}

function assertUnique(named: readonly { readonly name: string }[], what: string, file: string): void {
  const seen = new Set<string>()
  for (const { name } of named) {
    if (seen.has(name)) throw invalid(file, `${what}: two are called ${JSON.stringify(name)}`)
    seen.add(name)
  }
}

function firstProblem(schema: TSchema, value: unknown, place: string): string | undefined {
  if (Value.Check(schema, value)) return undefined
  const errors = [...Value.Errors(schema, value)]
  const first = errors[0]
  const path = (first?.instancePath ?? '')
    .replaceAll(/\/(\d+)/g, '[$1]')
    .replaceAll('/', '.')
    .replace(/^\./, '')
  const where = [place, path].filter(Boolean).join('.') || 'the configuration'
  return `${where}: ${first ? expectation(first, errors) : 'is not as expected'}`
}

type Problem = ReturnType<typeof Value.Errors>[number]

/** The validator's own words are about schemas; people want to know what belongs there. */
function expectation(first: Problem, all: readonly Problem[]): string {
  const params = first.params as { readonly pattern?: unknown; readonly requiredProperties?: readonly string[] }
  if (first.keyword === 'boolean') return 'there is no such setting'
  if (params.requiredProperties) return `${params.requiredProperties.join(', ')} missing`
  if (first.keyword === 'const') {
    const here = all.filter(({ instancePath, keyword }) => keyword === 'const' && instancePath === first.instancePath)
    const allowed = here.map((problem) => (problem.params as { readonly allowedValue?: unknown }).allowedValue)
    return `expected ${allowed.map((one) => JSON.stringify(one)).join(' or ')}`
  }
  const meaning = Object.entries(MEANINGS).find(([pattern]) => pattern === String(params.pattern))?.[1]
  return meaning ? `expected ${meaning}` : first.message
}

function invalid(file: string, problem: string, cause?: unknown): TrackOpsError {
  return new TrackOpsError('CONFIG_INVALID', `${file}: ${problem}.`, cause === undefined ? {} : { cause })
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? ''
}
