import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')
const AT_LEAST = 24

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
const document = read('docs/faults.md')
const named = Array.from(document.matchAll(/\| `([^|]+)` in `([^`]+)`/g), ([, name = '', file = '']) => ({
  name,
  file,
}))

void test('every fault that is documented has a test of that name', () => {
  const missing = named.filter(({ name, file }) => !existsSync(join(ROOT, file)) || !read(file).includes(name))
  assert.deepEqual(missing, [])
  assert.ok(named.length >= AT_LEAST, `${named.length} faults`)
})

void test('every named fault of the tests is documented', () => {
  const files = [...globSync('test/faults/*.ts', { cwd: ROOT }), 'test/distributed/faults.test.ts']
  const undocumented = files.flatMap((file) =>
    Array.from(read(file).matchAll(/^ +name: '([^']+)',?$/gm), ([, name = '']) => name).filter(
      (name) => !named.some((one) => one.name === name && one.file === file),
    ),
  )
  assert.deepEqual(undocumented, [])
})
