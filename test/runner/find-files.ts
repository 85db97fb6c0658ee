import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import type { RunOptions } from './options.ts'

const FOLDERS = ['src', 'app', 'test', 'console', 'bench']

/**
 * Test files of the repository, absolute, those below `test` first: they take longest, and would run alone at the end. A long test
 * runs with --full, or where a filter names it.
 */
export function findTestFiles(root: string, options: RunOptions): string[] {
  const all = FOLDERS.flatMap((folder) => filesBelow(root, folder)).filter((path) => path.endsWith('.test.ts'))
  const wanted = all.filter((path) =>
    options.filters.length > 0
      ? options.filters.some((filter) => path.includes(filter))
      : options.full || !path.endsWith('.long.test.ts'),
  )
  return wanted
    .toSorted()
    .toReversed()
    .map((path) => join(root, path))
}

function filesBelow(root: string, folder: string): string[] {
  let entries
  try {
    entries = readdirSync(join(root, folder), { withFileTypes: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  return entries.flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) return []
    const path = `${folder}/${entry.name}`
    return entry.isDirectory() ? filesBelow(root, path) : [path]
  })
}
