/** The rules of the source tree, as a pure function over its files; test/architecture.test.ts holds the tree to them. */
import { posix } from 'node:path'

export interface SourceFile {
  /** From the repository's root, with slashes: `src/cache/view.ts` */
  readonly path: string
  readonly text: string
}

/** A folder may import from itself and from those of a lower level; never from another of its own level. */
const LEVELS: Readonly<Record<string, number>> = {
  runtime: 0,
  change: 1,
  capture: 2,
  log: 2,
  cache: 3,
  consume: 4,
  verify: 5,
  roles: 6,
  cli: 7,
}

const MAX_LINES = 400
const FILE_NAME = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|long\.test|fixture|d))?\.ts$/

/** The words of the application that ships with TrackOps. The engine serves any, so it knows none of them. */
const APPLICATION_WORDS = ['orders', 'inventory', 'inventories', 'customer', 'customers', 'reservation', 'reservations']
/** Names of roles and groups that the outside relies on; "order" in them is the seed's word for the role. */
const FIXED_NAMES = /order-event-consumer|debezium-order-consumer|order[-_ ]?event/gi

/** What makes a connection. Types are free: code that is handed a connection names its type. */
const DRIVER_FACTORIES: Readonly<Record<string, readonly string[]>> = {
  postgres: ['default'],
  '@redis/client': ['createClient', 'createClientPool', 'createCluster', 'createSentinel'],
  '@platformatic/kafka': ['Admin', 'Base', 'Consumer', 'Producer'],
}
const POOL_FACTORY = 'createPostgresPool'

/** One line a violation, `path: what`; none where all is well. */
export function findViolations(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const found = [...sizeAndName(file)]
    if (isTestCode(file.path)) return found
    if (file.path.startsWith('src/')) found.push(...importArrows(file), ...applicationWords(file), ...drivers(file))
    if (file.path.startsWith('app/')) found.push(...appImports(file), ...drivers(file))
    return found
  })
}

function isTestCode(path: string): boolean {
  const name = posix.basename(path)
  return name.endsWith('.test.ts') || /(^|-)(fixture|fake)s?\.ts$/.test(name) || /(^|\/)test(-support)?\//.test(path)
}

function sizeAndName({ path, text }: SourceFile): string[] {
  const lines = text.split('\n').length - 1
  const name = posix.basename(path)
  return [
    ...(lines > MAX_LINES ? [`${path}: ${lines} lines, at most ${MAX_LINES}`] : []),
    ...(FILE_NAME.test(name) ? [] : [`${path}: file names are kebab-case`]),
  ]
}

function importArrows(file: SourceFile): string[] {
  const own = folderOf(file.path)
  if (own === null) return []
  return importsOf(file).flatMap(({ target }) => {
    if (target === null) return []
    if (!target.startsWith('src/')) return [`${file.path}: imports ${target}, which is outside src/`]
    const other = folderOf(target)
    if (other === null) return [`${file.path}: imports ${target}, the public face; import the file behind it`]
    if (other === own) return []
    const isDown = (LEVELS[other] ?? Infinity) < (LEVELS[own] ?? -1)
    return isDown ? [] : [`${file.path}: ${own} imports ${other} (${target})`]
  })
}

function appImports(file: SourceFile): string[] {
  return importsOf(file).flatMap(({ target }) => {
    if (target === null || target.startsWith('app/') || target === 'src/index.ts') return []
    return [`${file.path}: imports ${target}; an application has src/index.ts only`]
  })
}

function drivers(file: SourceFile): string[] {
  if (file.path.startsWith('src/roles/') || file.path === 'src/runtime/postgres.ts') return []
  return importsOf(file).flatMap(({ specifier, names }) => {
    const forbidden = [...(DRIVER_FACTORIES[specifier] ?? []), POOL_FACTORY]
    const used = names.filter((name) => forbidden.includes(name))
    return used.map((name) => `${file.path}: makes connections (${name} of ${specifier}); only src/roles does`)
  })
}

function applicationWords(file: SourceFile): string[] {
  const code = withoutComments(file.text).replaceAll(FIXED_NAMES, '')
  // customerId, CUSTOMER_ID, customer-id: the words of all of them.
  const words = code
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z]+/)
  const found = APPLICATION_WORDS.filter((word) => words.includes(word))
  return found.map((word) => `${file.path}: knows "${word}", a word of the application`)
}

interface Import {
  readonly specifier: string
  /** Repository path of a file of ours; null for packages. */
  readonly target: string | null
  /** Values taken, `default` among them; none for types. */
  readonly names: readonly string[]
}

function importsOf({ path, text }: SourceFile): Import[] {
  const code = withoutComments(text)
  const statements = code.matchAll(/(?:^|\n)\s*(?:import|export)\s+(type\s)?([^'"`;]*?\sfrom\s+)?['"]([^'"\n]+)['"]/g)
  const dynamic = code.matchAll(/\bimport\(\s*['"]([^'"\n]+)['"]\s*\)/g)
  return [
    ...[...statements].map(([, type, clause = '', specifier = '']) => ({
      specifier,
      target: resolve(path, specifier),
      names: type === undefined ? valueNames(clause) : [],
    })),
    ...[...dynamic].map(([, specifier = '']) => ({ specifier, target: resolve(path, specifier), names: ['default'] })),
  ]
}

function valueNames(clause: string): string[] {
  const [, inBraces] = /\{([^}]*)\}/.exec(clause) ?? []
  const named = (inBraces ?? '').split(',').map((part) => part.trim())
  const before = clause.replace(/\{[^}]*\}/, '').replace(/\sfrom\s*$/, '')
  const values = named
    .filter((part) => part !== '' && !part.startsWith('type '))
    .map((part) => part.split(/\s+as\s+/)[0] ?? '')
  return /[\w*]/.test(before) ? ['default', ...values] : values
}

function resolve(from: string, specifier: string): string | null {
  if (specifier === 'trackops') return 'src/index.ts'
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : null
}

/** `src/cache/lua/x.ts` -> `cache`; null for files directly in src/. */
function folderOf(path: string): string | null {
  const [, folder, ...rest] = path.split('/')
  return folder === undefined || rest.length === 0 ? null : folder
}

/** Good enough for rules about words: a `//` inside a string ends the line early, unless a colon stands before it (URLs). */
function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, ' ').replaceAll(/(^|[^:'"`])\/\/.*$/gm, '$1')
}
