import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { readPage, ROOT } from './page.ts'

interface Package {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
}

const PAGE = 'docs/decisions/0001-dependencies.md'

test('every dependency is pinned, and has a line that says why it is there; and no other has one', () => {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  ) as Package
  const wanted = { ...dependencies, ...devDependencies, ...optionalDependencies }
  const lines = Array.from(readPage(PAGE).matchAll(/^\| `([^`]+)` \| ([^|]+) \| ([^|]{20,}) \|/gm))
  const documented = Object.fromEntries(lines.map(([, name = '', version = '']) => [name, version.trim()]))
  assert.deepEqual(documented, wanted)
  for (const version of Object.values(wanted)) assert.match(version, /^\d/, 'an exact version')
})
