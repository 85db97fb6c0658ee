import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { findViolations, type SourceFile } from './architecture-rules.ts'

/** To be mended, not to be added to. */
const ROOT = join(import.meta.dirname, '..')

test('the tree keeps its rules: imports go one way, src/ knows no application, only roles connect, files are small', () => {
  const files = globSync('{src,app,test}/**/*.ts', { cwd: ROOT }).map((path) => ({
    path,
    text: readFileSync(join(ROOT, path), 'utf8'),
  }))
  assert.ok(files.length > 50, `only ${files.length} files were found`)
  assert.deepEqual(findViolations(files), [])
})

const CLEAN: readonly SourceFile[] = [
  { path: 'src/cache/view.ts', text: "import type { Sql } from 'postgres'\nimport { lsn } from '../change/lsn.ts'\n" },
  {
    path: 'src/log/positions.ts',
    text: "// orders and customers are the application's\nconst sql = 'select 1 order by x'\n",
  },
  { path: 'src/roles/connections.ts', text: "import { createPostgresPool } from '../runtime/postgres.ts'\n" },
  {
    path: 'src/cache/reader.test.ts',
    text: "import { testRedis } from '../../test/support/redis.ts'\nconst orders = 1\n",
  },
  { path: 'src/consume/order-event-consumer.ts', text: "export const group = 'debezium-order-consumer'\n" },
  { path: 'app/views.ts', text: "import { rowView } from 'trackops'\nimport { x } from './x.ts'\nconst orders = 1\n" },
]

test('what keeps the rules is not complained about', () => {
  assert.deepEqual(findViolations(CLEAN), [])
})

for (const [what, path, text] of [
  ['an arrow that goes up', 'src/change/lsn.ts', "import { view } from '../cache/view.ts'\n"],
  ['an arrow that goes up, for a type only', 'src/runtime/a.ts', "import type { View } from '../cache/view.ts'\n"],
  ['an arrow that goes up, over several lines', 'src/change/a.ts', "import {\n  one,\n  two,\n} from '../log/b.ts'\n"],
  ['an arrow that goes up, when called', 'src/log/a.ts', "const x = await import('../roles/up.ts')\n"],
  ['an arrow that goes up, by passing on', 'src/cache/a.ts', "export { x } from '../consume/b.ts'\n"],
  ['an arrow to the side', 'src/capture/a.ts', "import { x } from '../log/b.ts'\n"],
  ['a folder nobody knows', 'src/cache/a.ts', "import { x } from '../utils/b.ts'\n"],
  ['its own public face', 'src/roles/a.ts', "import { x } from '../index.ts'\n"],
  ['the application', 'src/roles/a.ts', "import { views } from '../../app/views.ts'\n"],
  ['test code', 'src/roles/a.ts', "import { testRedis } from '../../test/support/redis.ts'\n"],
  ['an inner file, from the application', 'app/views.ts', "import { x } from '../src/cache/view.ts'\n"],
  ['a driver', 'src/cache/a.ts', "import postgres, { type Sql } from 'postgres'\n"],
  ["a driver's client", 'src/consume/a.ts', "import { createClient as make } from '@redis/client'\n"],
  ['the pool', 'src/log/a.ts', "import { createPostgresPool } from '../runtime/postgres.ts'\n"],
  ['a word of the application', 'src/cache/a.ts', 'const customerId = 1\n'],
  ['a word of the application, in SQL', 'src/log/a.ts', "const sql = 'select * from orders'\n"],
  ['a file name', 'src/cache/readerFixture.ts', ''],
  ['a long file', 'test/long.ts', 'const x = 1\n'.repeat(401)],
] as const) {
  test(`the checker finds ${what}`, () => {
    const found = findViolations([...CLEAN, { path, text }])
    assert.equal(found.length, 1, found.join('\n'))
    assert.ok(found[0]?.startsWith(`${path}: `))
  })
}
