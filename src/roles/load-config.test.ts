import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { TrackOpsError } from '../runtime/errors.ts'
import { assertConfig, loadConfig } from './load-config.ts'

const source = { urlVariable: 'DATABASE_URL', embeddedName: 'orders', slot: 'trackops', publication: 'trackops' }
const view = {
  kind: 'row',
  name: 'entity',
  key: 'item:{id}',
  table: 'public.items',
  columns: ['id'],
  ttlSeconds: 60,
  warm: 'all',
  document: () => null,
}
const query = {
  kind: 'query',
  name: 'count',
  key: 'count:{owner}',
  ttlSeconds: 60,
  warm: 'cached',
  sql: 'select 1',
  dependsOn: [{ table: 'public.items', columns: ['owner'] }],
}
const eventDefinition = { topic: 'items', table: 'public.items', columns: ['id'], derive: () => [] }
const service = { name: 'shop', port: { variable: 'SHOP_PORT', default: 8081 }, start: () => undefined }
const base = { source, views: [view] }

const withView = (change: object, of: object = view): object => ({ ...base, views: [{ ...of, ...change }] })

const MISTAKES: readonly (readonly [what: string, config: unknown, complaint: string])[] = [
  ['nothing', null, 'the configuration: must be object'],
  ['an empty configuration', {}, 'the configuration: source, views missing'],
  ['a setting that does not exist', { ...base, sauce: 1 }, 'sauce: there is no such setting'],
  [
    'a misspelt setting',
    { ...base, source: { ...source, urlvariable: 'X' } },
    'source.urlvariable: there is no such setting',
  ],
  [
    'an incomplete source',
    { ...base, source: { urlVariable: 'X' } },
    'source: embeddedName, slot, publication missing',
  ],
  [
    'a slot that PostgreSQL would refuse',
    { ...base, source: { ...source, slot: 'My Slot' } },
    'source.slot: expected lower-case letters, digits and underscores, 63 at most',
  ],
  ['no views', { ...base, views: [] }, 'views: must not have fewer than 1 items'],
  ['a view made by hand', withView({ kind: 'table' }), 'views[0]: make it with rowView, listView or queryView'],
  ['a view that is none', { ...base, views: [null] }, 'views[0]: make it with rowView, listView or queryView'],
  [
    'a name with spaces',
    withView({ name: 'My View' }),
    'views[0].name: expected lower-case letters, digits and dashes, beginning with a letter',
  ],
  [
    'a key without a column',
    withView({ key: 'item' }),
    'views[0].key: expected a template with at least one {column}, as in order:entity:{id}',
  ],
  [
    'a table without a schema',
    withView({ table: 'items' }),
    'views[0].table: expected schema and table, as in public.books',
  ],
  ['no columns', withView({ columns: [] }), 'views[0].columns: must not have fewer than 1 items'],
  ['a TTL of nothing', withView({ ttlSeconds: 0 }), 'views[0].ttlSeconds: must be >= 1'],
  ['a TTL as text', withView({ ttlSeconds: '60' }), 'views[0].ttlSeconds: must be integer'],
  ['a policy that does not exist', withView({ warm: 'hot' }), 'views[0].warm: expected "all" or "cached" or "none"'],
  ['too much jitter', withView({ ttlJitterRatio: 2 }), 'views[0].ttlJitterRatio: must be <= 0.5'],
  ['a document that is no function', withView({ document: 'x' }), 'views[0].document is not a function'],
  ['a list without a member', withView({ kind: 'list' }), 'views[0]: member missing'],
  [
    'a query that depends on nothing',
    withView({ dependsOn: [] }, query),
    'views[0].dependsOn: must not have fewer than 1 items',
  ],
  [
    'keys that are no function',
    withView({ dependsOn: [{ table: 'public.items', columns: ['a'], keys: 5 }] }, query),
    'views[0].dependsOn[0].keys is not a function',
  ],
  ['two views of one name', { ...base, views: [view, view] }, 'views: two are called "entity"'],
  [
    'a derive that is no function',
    { ...base, events: [{ ...eventDefinition, derive: 1 }] },
    'events[0].derive is not a function',
  ],
  [
    'an enrich that is no function',
    { ...base, events: [{ ...eventDefinition, enrich: 1 }] },
    'events[0].enrich is not a function',
  ],
  [
    'a topic prefix with a dot',
    { ...base, source: { ...source, topicPrefix: 'a.b' } },
    'source.topicPrefix: expected letters, digits, underscores and dashes, 100 at most',
  ],
  ['events that are no list', { ...base, events: {} }, 'events: must be array'],
  [
    'a variable in lower case',
    { ...base, databases: { stock: { urlVariable: 'x', embeddedName: 'x' } } },
    'databases.stock.urlVariable: expected the name of an environment variable, as in DATABASE_URL',
  ],
  [
    'a second source',
    { ...base, databases: { source: { urlVariable: 'X', embeddedName: 'x' } } },
    'databases.source: this name means the source database; choose another',
  ],
  [
    'a port beyond all',
    { ...base, services: [{ ...service, port: { variable: 'P', default: 70_000 } }] },
    'services[0].port.default: must be <= 65535',
  ],
  [
    'a start that is no function',
    { ...base, services: [{ ...service, start: 1 }] },
    'services[0].start is not a function',
  ],
  ['two services of one name', { ...base, services: [service, service] }, 'services: two are called "shop"'],
  [
    'a way of consuming that does not exist',
    { ...base, cache: { consumers: 'both' } },
    'cache.consumers: expected "together" or "apart"',
  ],
  [
    'a prefix with a wildcard',
    { ...base, cache: { keyPrefix: 'a*' } },
    'cache.keyPrefix: expected none of { } * ? [ ] and the backslash',
  ],
]

function complaintOf(error: unknown, file: string): string {
  assert.ok(error instanceof TrackOpsError)
  assert.equal(error.code, 'CONFIG_INVALID')
  assert.ok(error.message.startsWith(`${file}: `), error.message)
  assert.doesNotMatch(error.message, /\n/)
  return error.message.slice(file.length + 2)
}

for (const [what, config, complaint] of MISTAKES) {
  test(`${what}: one line says where, and what is expected`, () => {
    assert.throws(
      () => assertConfig(config, 'trackops.config.ts'),
      (error) => {
        assert.equal(complaintOf(error, 'trackops.config.ts'), `${complaint}.`)
        return true
      },
    )
  })
}

test('a configuration with everything in it is taken', () => {
  const events = [{ ...eventDefinition, enrich: () => undefined }]
  const databases = { stock: { urlVariable: 'STOCK_URL', embeddedName: 'stock', migrations: 'migrations/stock' } }
  const cache = { keyPrefix: 'shop:', consumers: 'apart' }
  const views = [view, { ...view, kind: 'list', name: 'all', key: 'all:{id}', member: 'id' }, query]
  assertConfig({ source, views, events, databases, services: [service], cache }, 'trackops.config.ts')
})

async function fileOf(t: TestContext, text: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'trackops-config-'))
  t.after(() => rm(directory, { recursive: true }))
  const file = join(directory, 'trackops.config.ts')
  await writeFile(file, text)
  return file
}

test('a file is loaded with the folder from which its paths count', async (t) => {
  const text = `export default { source: ${JSON.stringify(source)}, views: [{ ...${JSON.stringify(view)}, document: () => null }] }`
  const file = await fileOf(t, text)
  const loaded = await loadConfig(file)
  assert.deepEqual([loaded.file, loaded.directory], [file, join(file, '..')])
  assert.equal(loaded.config.source.slot, 'trackops')
})

test('a file that is missing, cannot be loaded or exports nothing is told in one line', async (t) => {
  const files: readonly (readonly [file: string, complaint: RegExp])[] = [
    ['/nowhere/trackops.config.ts', /^there is no such file\.$/],
    [await fileOf(t, "throw new Error('first line\\nsecond line')"), /^it cannot be loaded: first line\.$/],
    [await fileOf(t, 'export default {'), /^it cannot be loaded: \S.*\.$/],
    [await fileOf(t, 'export const config = 1'), /^it has no default export; write: export default defineConfig/],
  ]
  for (const [file, complaint] of files) {
    await assert.rejects(loadConfig(file), (error) => {
      assert.match(complaintOf(error, file), complaint)
      return true
    })
  }
})
