import { readFileSync } from 'node:fs'

import { TrackOpsError } from './errors.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * What may hold a password: in the variable itself, or in the file that `<variable>_FILE` names, as container platforms mount secrets.
 * An editor's newline at the file's end is no part of it. Undefined: neither is set.
 *
 * @throws TrackOpsError CONFIG_INVALID naming variable and file, never what they hold
 */
export function readSecret(environment: Environment, variable: string): string | undefined {
  const given = environment[variable] || undefined
  const fileVariable = `${variable}_FILE`
  const file = environment[fileVariable] || undefined
  if (file === undefined) return given
  if (given !== undefined)
    throw new TrackOpsError('CONFIG_INVALID', `${variable} and ${fileVariable} are both set: unset one of them.`)
  const text = readNamedFile(fileVariable, file)
    .toString('utf8')
    .replace(/\r?\n$/, '')
  if (text === '') throw new TrackOpsError('CONFIG_INVALID', `${fileVariable}: ${file} is empty.`)
  return text
}

/** @throws TrackOpsError CONFIG_INVALID naming setting and file */
export function readNamedFile(setting: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown'
    throw new TrackOpsError('CONFIG_INVALID', `${setting}: cannot read ${file} (${code}).`, { cause: error })
  }
}
