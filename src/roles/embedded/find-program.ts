import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Absolute path of an executable in one of the folders of a PATH, or null. */
export function findProgram(searchPath: string, name: string): string | null {
  const folders = searchPath.split(delimiter).filter((folder) => folder !== '')
  const folder = folders.find((candidate) => isExecutable(join(candidate, name)))
  return folder === undefined ? null : join(folder, name)
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
