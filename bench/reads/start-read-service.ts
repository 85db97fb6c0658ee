import { spawn } from 'node:child_process'
import { join } from 'node:path'

import { defer, type TestScope } from '../../test/support/defer.ts'

/** Its URL, once it listens. */
export async function startReadService(
  scope: TestScope,
  urls: { readonly source: string; readonly redis: string },
  sampleId: string,
): Promise<string> {
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, 'read-service.ts'),
      urls.source,
      urls.redis,
      sampleId,
    ],
    { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
  )
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  defer(scope, async () => {
    child.kill('SIGKILL')
    await ended
  })
  const told = new Promise<{ readonly port: number }>((resolve) =>
    child.once('message', (message) => resolve(message as { port: number })),
  )
  const { port } = await Promise.race([
    told,
    ended.then(() => Promise.reject(new Error('the read service ended before it listened'))),
  ])
  return `http://127.0.0.1:${port}`
}
