/** Writes docs/benchmarks.md and the README's numbers from the newest result of `npm run bench -- all`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Bench } from './measure.ts'
import { benchmarksPage, PAGE } from './report/page.ts'
import { readmeNumbers, withNumbers } from './report/readme-numbers.ts'
import { newestResult, resultFile } from './report/result.ts'

const ROOT = join(import.meta.dirname, '..')

export const readme: Bench = async () => {
  const result = newestResult()
  if (!result) throw new Error('there is no result yet: npm run bench -- all')
  const file = join(ROOT, 'README.md')
  writeFileSync(file, withNumbers(readFileSync(file, 'utf8'), readmeNumbers(result)))
  writeFileSync(join(ROOT, PAGE), benchmarksPage(result))
  return { from: resultFile(result), written: ['README.md', PAGE] }
}
