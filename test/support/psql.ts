/** PostgreSQL's own client programs, where the machine has them. */
import { execFile } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

import { makeTestDirectory, removeTestDirectory } from './test-directory.ts'

export function hasProgram(name: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)))
}

/** Runs a script; @throws with what psql said where a statement fails */
export async function psql(url: string, script: string): Promise<string> {
  return await runProgram('psql', ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--dbname', url], script)
}

export async function pgbench(
  url: string,
  script: string,
  options: { readonly clients: number; readonly transactions: number },
): Promise<string> {
  const directory = makeTestDirectory('pgbench')
  try {
    const file = join(directory, 'script.sql')
    writeFileSync(file, script.split('\n').map(unindented).join('\n'))
    const { clients, transactions } = options
    const args = ['--no-vacuum', `--client=${clients}`, `--transactions=${transactions}`, `--file=${file}`, url]
    return await runProgram('pgbench', args, '')
  } finally {
    removeTestDirectory(directory)
  }
}

function unindented(line: string): string {
  return line.trimStart()
}

function runProgram(program: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${program}: ${stderr.trim() || error.message}`))
      else resolve(stdout)
    })
    child.stdin?.end(input)
  })
}
