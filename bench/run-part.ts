/** One benchmark in a process of its own, so that none inherits another's heap; its lines are passed on, its figures returned. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** @throws unless it ends well */
export async function runPart(args: readonly string[], print: (line: string) => void): Promise<unknown> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'main.ts'), ...args],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  // It ends what it has started.
  const end = (): void => void child.kill('SIGTERM')
  process.on('exit', end)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  let last: string | undefined
  for await (const line of createInterface({ input: child.stdout })) {
    if (last !== undefined) print(last)
    last = line
  }
  const exitCode = await ended
  process.off('exit', end)
  if (exitCode !== 0 || last === undefined) throw new Error(`${args.join(' ')} ended with ${exitCode}: ${last ?? ''}`)
  return JSON.parse(last)
}
