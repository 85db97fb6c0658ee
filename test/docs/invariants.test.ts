import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')
const IDS = ['P1', 'P2', 'P3', 'F', 'W', 'L1', 'L2', 'L3', 'L4', 'L5', 'L6', 'L7']

interface Invariant {
  readonly id: string
  readonly files: readonly string[]
  /** False where the document says that the code does not call it by its id. */
  readonly isNamed: boolean
  readonly tests: readonly { readonly name: string; readonly file: string }[]
  readonly isEveryPartThere: boolean
}

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
const hasWord = (text: string, word: string): boolean => new RegExp(`\\b${word}\\b`).test(text)

function invariants(document: string): readonly Invariant[] {
  const sections = document.split(/^## /m).filter((section) => /^(?:[PL]\d|[FW])\n/.test(section))
  return sections.map((section) => {
    const enforced = /^- Enforced in: (.*)$/m.exec(section)?.[1] ?? ''
    return {
      id: section.split('\n', 1)[0] ?? '',
      files: [...enforced.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''),
      isNamed: !enforced.endsWith('(not by name)'),
      tests: [...section.matchAll(/^- Held by: `([^`]+)` in `([^`]+)`$/gm)].map((match) => ({
        name: match[1] ?? '',
        file: match[2] ?? '',
      })),
      isEveryPartThere: /^\*\*.+/m.test(section) && /^- Not covered: /m.test(section),
    }
  })
}

/** What is wrong with the document, in words. */
function faults(document: string): readonly string[] {
  const known = invariants(document)
  const found: string[] = []
  for (const id of IDS) if (!known.some((each) => each.id === id)) found.push(`${id} is not described`)
  const testNames = globSync('{src,app,test}/**/*.test.ts', { cwd: ROOT })
    .map(read)
    .flatMap((text) => [...text.matchAll(/\btest\(\s*(['"`])(.*?)\1,/g)].map((match) => match[2] ?? ''))
  for (const { id, files, isNamed, tests, isEveryPartThere } of known) {
    if (!isEveryPartThere) found.push(`${id} lacks its statement, or what is not covered`)
    for (const file of files) if (!existsSync(join(ROOT, file))) found.push(`${id}: there is no ${file}`)
    const present = files.filter((file) => existsSync(join(ROOT, file)))
    if (isNamed && !present.some((file) => hasWord(read(file), id))) found.push(`${id} is in none of its files`)
    if (!testNames.some((name) => hasWord(name.split(':', 1)[0] ?? '', id))) found.push(`${id} begins no test's name`)
    if (tests.length === 0) found.push(`${id} is held by nothing`)
    for (const { name, file } of tests) {
      const isThere = existsSync(join(ROOT, file))
      if (!isThere || !["'", '"', '`'].some((quote) => read(file).includes(`test(${quote}${name}`)))
        found.push(`${id}: there is no test "${name}" in ${file}`)
    }
  }
  return found
}

void test('every invariant is described, enforced in files that are there, and held by tests that are there', () => {
  assert.deepEqual(faults(read('docs/invariants.md')), [])
})

void test('an invariant that is missing, or names what is not there, is found', () => {
  const document = read('docs/invariants.md')
  assert.deepEqual(faults(document.replace('\n## L3\n', '\n## Partial rows\n')), ['L3 is not described'])
  assert.deepEqual(faults(document.replace('src/cache/limiter.ts', 'src/cache/limits.ts')), [
    'L6: there is no src/cache/limits.ts',
  ])
  assert.deepEqual(faults(document.replace('`L5: a NULL stays', '`L5: a NULL becomes')), [
    'L5: there is no test "L5: a NULL becomes NULL in a view\'s document, whatever the column\'s default is" in ' +
      'test/protocol/laws.test.ts',
  ])
})
